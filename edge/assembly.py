"""The station put together: every part built from station.toml and wired to the others, nothing started yet."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread

import structlog

from cloud_sync.station.drift_word import DriftWord
from cloud_sync.station.metadata import MetadataChannel
from cloud_sync.wire.records import FeedbackRecord, inspection_id
from edge.capture.codes.desk import CodeDesk, code_rules
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.open import is_replayed, make_camera
from edge.capture.pictures.watch import camera_rules, make_watch
from edge.capture.scales import scales_of
from edge.config import CameraSection, ProductSection, StationConfig
from edge.config_outputs import OutputSection
from edge.domain.errors import StorageError
from edge.domain.feedback import Feedback
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, Inspection, OutcomeOf
from edge.domain.part import Part, Verdict
from edge.fitting import fitting_recipes, fitting_reference, station_plan
from edge.handover import Handover
from edge.health import Health
from edge.infer.comparing import ComparingEngine
from edge.infer.openvino import OpenVinoEngine, config_of
from edge.infer.plan import Plan
from edge.line.outputs.open import make_teller
from edge.line.outputs.teller import Teller
from edge.line.port import LinePort, PortTimes
from edge.line.protocol import NOT_KEPT, Address, FeedbackAnswer, RetryDead, parse_address
from edge.pipeline import Eyes, Pipeline, PipelineLimits, Product
from edge.record.eviction import Limits
from edge.record.image_writer import ImageWriter
from edge.record.images import ImageStore
from edge.record.recorder import Recorder
from edge.record.upload_choice import UploadRule
from edge.shadow.compiling import compile_apart
from edge.shadow.desk import Around, ShadowDesk
from edge.shadow.lane import order_of
from edge.shadow.preparing import prepared, terms_of
from edge.standing import make_health
from edge.sync import make_uplink
from edge.tally import ModelTally, Tally
from edge.triage.desk import TriageDesk
from edge.triage.settings import Around as TriageAround
from edge.triage.settings import TriageSettings
from models.bundle import Bundle, open_for_line
from models.bundle_store import active_bundle
from models.compiled_store import CompiledStore, graphs_in_use

log = structlog.get_logger()


class Assembly:
    """A station's parts.

    What can be refused is built first, so that a refused configuration leaves nothing open.

    Args:
        config: the checked station.toml.

    Raises:
        InspectdError, ModelError: something needed is missing or broken.
    """

    def __init__(self, config: StationConfig) -> None:
        self.config = config
        self.health = Health()
        self.engines: dict[Path, OpenVinoEngine] = {}
        self._compiled = CompiledStore(config.cache_dir, lambda: graphs_in_use(config.bundles_dir))
        self._running: dict[str, Path] = {}
        self.tally, self.model_tally = Tally(), ModelTally()
        self.handover = Handover()
        address = parse_address(config.line.port)
        self.pictures, self._codes = make_watch(config, self.health), code_rules(config)
        self.drains = {section.id: self._drain(section) for section in config.camera}
        self.products = {section.id: self._product(section) for section in config.product}
        self.outputs = [self._output(section, address) for section in config.output]
        self.recorder = self._recorder()
        self.metadata = MetadataChannel(config.station.id)
        self.triage = self._triage()
        self._drift_word = DriftWord(config.station.id, self.triage.drift)
        self.uplink = make_uplink(
            config,
            self.recorder,
            lambda: make_health(config, self.health),
            self.metadata,
            self.handover,
            riders=[self._drift_word] if config.triage.drift else [],
        )
        self.images = self._image_writer()
        self.pipeline = self._pipeline()
        self.shadow = self._shadow()
        self.shadow.on_pair = self.triage.paired
        self.port = self._port(address)
        self.port.on_feedback(self._note_feedback)
        self.port.on_retry_dead(self._retry_dead)

    def take(self, section: ProductSection) -> None:
        """Run the product's active bundle from the next trigger on; its engines of two changes ago are let go.

        Raises:
            InspectdError, ModelError: it cannot be run; then nothing has changed.
        """
        before, product = self._running[section.id], self._product(section)
        self.products[section.id] = product
        if before == self._running[section.id]:
            return
        kept = {before, *self._running.values()}
        for path in [path for path in self.engines if path.parent == before.parent and path not in kept]:
            del self.engines[path]

    def compile_apart(self, section: ProductSection, stopping: Callable[[], bool]) -> None:
        """Have the graph of the product's active bundle in the cache before `take` wants it, at no cost to the line.

        Raises:
            ModelError, ConfigError: the bundle cannot be run.
        """
        path = active_bundle(self.config.bundles_dir, section.bundle)
        if path in self.engines:
            return
        challenger = prepared(self.config, section.id, open_for_line(path))
        if not self._compiled.holds(challenger.bundle, config_of(challenger.bundle, challenger.plan)):
            compile_apart(order_of(challenger, terms_of(self.config)), stopping)

    def plan(self, product_id: str) -> Plan:
        """How the product's model is run."""
        return self.engines[self._running[product_id]].plan

    def readiness_changed(self, ready: bool, why: str) -> None:  # noqa: FBT001 - ready is what is said
        """Tell the line at once, and the cloud soon; must not block."""
        self.port.set_ready(ready, why)
        if self.uplink is not None:
            self.uplink.health_changed()

    def _committed(self, committed: Committed, frames: tuple[Frame, ...]) -> None:
        self.port.tell(committed)
        self.model_tally.note(committed.inspection)
        if frames and self._keeps_image(committed.inspection):
            self.images.keep(committed, frames)
        self.triage.consider(committed, frames)
        self.shadow.offer(committed, frames)
        self._notify_uplink()

    def _notify_uplink(self) -> None:
        if self.uplink is not None:
            self.uplink.notify()

    def _drift_changed(self) -> None:
        self._drift_word.changed()
        if self.uplink is not None:
            self.uplink.notify()
            self.uplink.health_changed()

    def _unrecorded(self, inspection: Inspection) -> None:
        self.port.tell_unrecorded(inspection.part, inspection.all_reasons)

    def _note_feedback(self, peer: int, said: Feedback) -> None:
        def done(record: FeedbackRecord | None) -> None:
            if record is None:
                self.port.answer_feedback(peer, f"no part {said.part_id!r} is on record here")
                return
            identity = inspection_id(record.station, record.inspection_epoch, record.inspection_seq)
            kept = FeedbackAnswer(said.part_id, record.verdict, identity, record.seq, len(record.boxes))
            self.port.answer_feedback(peer, kept)
            self.triage.overruled(record)
            self._notify_uplink()

        def failed(error: StorageError) -> None:
            self.port.answer_feedback(peer, f"{NOT_KEPT}: {error}")

        self.recorder.record_feedback(said, datetime.now(UTC), done, failed)

    def _retry_dead(self, peer: int, asked: RetryDead) -> None:
        def retry() -> None:
            try:
                answer: int | str = self.recorder.retry_dead(asked.stream)
            except StorageError as error:
                answer = f"no dead letter was moved: {error}"
            self.port.answer_retry_dead(peer, answer)
            self._notify_uplink()

        Thread(target=retry, name="retry-dead", daemon=True).start()

    def _note_outcomes(self, outcomes: Sequence[OutcomeOf]) -> None:
        self.tally.note(outcomes)
        self.recorder.record_outcomes(outcomes)

    def _accept(self, part: Part) -> None:
        self.pipeline.accept(part)

    def _keeps_image(self, inspection: Inspection) -> bool:
        if not any(view.frame is not None for view in inspection.views):
            return False
        match self.config.retention.images:
            case "all":
                return True
            case "not_pass":
                return inspection.verdict is not Verdict.PASS
            case "none":
                return False

    def _drain(self, section: CameraSection) -> Drain:
        limits = CaptureLimits(
            section.latency_ms / 1000,
            section.timeout_ms / 1000,
            section.max_age_ms / 1000,
            section.buffer_frames,
            driver_s=(section.open_timeout_ms + section.read_timeout_ms) / 1000,
        )
        return Drain(
            section.id,
            make_camera(section),
            limits,
            triggered=section.trigger != "free",
            on_state=lambda lost, why: self.health.restate_fault(
                camera_fault(section.id), f"camera {section.id!r} is lost: {why}" if lost else ""
            ),
            notes_repeats=camera_rules(section).notes_repeats,
        )

    def _product(self, section: ProductSection) -> Product:
        path = active_bundle(self.config.bundles_dir, section.bundle)
        bundle = self.engines[path].bundle if path in self.engines else open_for_line(path)
        recipe, own = fitting_recipes(section, bundle, scales_of(self.config, section))
        reference = fitting_reference(section, bundle.spec)
        if path not in self.engines:
            self.engines[path] = self._engine(bundle)
        engine = self.engines[path]
        looking = engine if reference is None else ComparingEngine(engine, reference)
        self._running[section.id] = path  # last: what was refused before this line has changed nothing
        return Product(section.id, looking, recipe, self._codes.get(section.id), own)

    def _engine(self, bundle: Bundle) -> OpenVinoEngine:
        engine = OpenVinoEngine(bundle, station_plan(self.config, bundle), store=self._compiled)
        how, say = "cached" if engine.cached else "compiled", log.warning if engine.note else log.info
        say("model", bundle=bundle.model_id.id, version=bundle.model_id.version, graph=how, note=engine.note)
        return engine

    def _output(self, section: OutputSection, address: Address) -> Teller:
        def on_trouble(why: str) -> None:
            if section.required:
                self.health.set_fault(f"output:{section.id}", why)

        return make_teller(section, self.config.station.id, address, on_trouble)

    def _recorder(self) -> Recorder:
        return Recorder(
            self.config.station.id,
            self.config.database_path,
            keeps_image=self._keeps_image,
            on_committed=self._committed,
            on_unrecorded=self._unrecorded,
            on_storage=lambda works, why: self.health.set_fault("storage", "" if works else why),
            uploads=UploadRule(self.config.sync.images, self.config.sync.audit_share),
        )

    def _image_writer(self) -> ImageWriter:
        kept = self.config.retention
        return ImageWriter(
            ImageStore(self.config.images_dir, kept.image_format),
            self.recorder,
            Limits(kept.quota_bytes, kept.records_bytes, kept.free_bytes),
            lambda works, why: self.health.set_fault("images", "" if works else why),
            on_alarm=self.health.set_alarm,
            sends=self.config.sync.broker is not None,
        )

    def _triage(self) -> TriageDesk:
        return TriageDesk(
            TriageSettings.of(self.config),
            self.recorder,
            self.health,
            TriageAround(self._thresholds, self._keeps_image, lambda: self.pipeline.slack() >= 1),
            on_sample=self._notify_uplink,
            on_drift=self._drift_changed,
        )

    def _thresholds(self, product_id: str, camera_id: str) -> dict[str, float]:
        rules = self.products[product_id].recipe_for(camera_id).rules
        return {name: rule.min_score for name, rule in rules.items()}

    def _pipeline(self) -> Pipeline:
        line = self.config.line
        limits = PipelineLimits(
            line.queue_parts,
            (line.deadline_ms - line.commit_margin_ms) / 1000,
            self.config.inference.timeout_ms / 1000,
        )
        replayed = any(is_replayed(section) for section in self.config.camera)
        cameras = {rule.camera_id for rule in self._codes.values()}
        eyes = Eyes(self.pictures, CodeDesk(cameras, line.queue_parts, self.health) if cameras else None)
        return Pipeline(self.products, self.drains, self.recorder, self.health, limits, replayed=replayed, eyes=eyes)

    def _shadow(self) -> ShadowDesk:
        prepare = partial(prepared, self.config)
        return ShadowDesk(Around(prepare, self.products, self.pipeline.slack, terms_of(self.config)))

    def _port(self, address: Address) -> LinePort:
        line = self.config.line
        times = PortTimes(line.deadline_ms / 1000, line.ack_timeout_ms / 1000, line.heartbeat_ms / 1000)
        return LinePort(address, times, self._accept, self._note_outcomes, self.products)


def camera_fault(camera_id: str) -> str:
    """The name of the fault that a camera raises."""
    return f"camera:{camera_id}"
