"""What a draft is put through before it becomes active: the same parts again and again, the product's master parts."""

import contextlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from edge.calibrate.frames.defects import DefectFrames
from edge.calibrate.gauge import repeatability_page
from edge.calibrate.gauge.repeatability import StudyLimits, study
from edge.calibrate.gauge.study_parts import StudyPart
from edge.calibrate.releases.trial import Looking, look, trade_off
from edge.calibrate.report.facts import ExtraSection, Slot
from edge.calibrate.tuning import section as tuning_page
from edge.calibrate.tuning.facts import FRAMES, TuneLimits, station_facts
from edge.calibrate.tuning.tune import tune
from edge.capture.pictures.checks import Check
from edge.capture.pictures.watch import CameraRules, PictureWatch
from edge.config import ProductSection, StationConfig
from edge.domain.part import Verdict
from edge.fitting import fitting_recipes, fitting_reference
from edge.health import Health
from edge.infer.answers import reported
from edge.infer.comparing import ComparingEngine
from edge.infer.openvino import OpenVinoEngine
from edge.infer.plan import Plan
from edge.masters.check import Judge, Request, check_masters
from edge.masters.store import MasterStore, whoever
from edge.pipeline import Product
from edge.record.checks import CheckOutcome, CheckRecord, MasterRecord
from models.anomaly.threshold import ThresholdProof, prove
from models.bundle import Bundle
from models.compile import usable_threads
from models.gate import THRESHOLD
from models.page import table
from models.progress import Progress
from models.scoring import read_image
from models.tradeoff import ENOUGH_DEFECTS, TradeOff

_REQUESTS = 2
_FAST = StudyLimits(parts=12, seconds=15.0)
_PLANNING_FROM_S = 15.0
_SECTION = "section.json"
_PLAIN = TypeAdapter(ExtraSection)


@dataclass(frozen=True, slots=True)
class Found:
    """The report's sections, and why the draft must not become active; empty where nothing speaks against it."""

    sections: tuple[ExtraSection, ...]
    against: str = ""


NOTHING = Found(())


def write_section(folder: Path, section: ExtraSection) -> None:
    """Keep a stage's section."""
    (folder / _SECTION).write_bytes(_PLAIN.dump_json(section))


def read_section(folder: Path) -> ExtraSection:
    """A kept one. Raises ValueError."""
    return _PLAIN.validate_json((folder / _SECTION).read_bytes())


@dataclass(frozen=True, slots=True)
class Draft:
    """A bundle that is not active yet.

    Args:
        bundle: opened.
        product: that it is for.
        threads: it may take; 0: what is granted.
        scales: millimetres a pixel by camera, where the recipe needs them.
    """

    bundle: Bundle
    product: ProductSection
    threads: int
    scales: Mapping[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self) -> Iterator[Product]:
        """The product as a station would run it. Raises ConfigError, ModelError."""
        recipe, own = fitting_recipes(self.product, self.bundle, self.scales)
        reference = fitting_reference(self.product, self.bundle.spec)
        plan = Plan(self.threads or usable_threads(), 1, _REQUESTS, _REQUESTS)
        with contextlib.closing(OpenVinoEngine(self.bundle, plan)) as engine:
            looking = engine if reference is None else ComparingEngine(engine, reference)
            yield Product(self.product.id, looking, recipe, by_camera=own)


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What the product's recipe makes of good parts and of labelled defects.

    Args:
        trade: escapes and overkill by its verdicts; None without defects.
        overkill: what good parts prove where it asks for less than the model's own threshold, so that it rejects parts
            that the threshold's proof lets pass; None where it does not.
    """

    trade: TradeOff | None = None
    overkill: ThresholdProof | None = None


def weigh(
    draft: Draft,
    camera: str,
    frames: tuple[Sequence[Path], DefectFrames | None],
    target: tuple[float, float],
    progress: Progress,
) -> Weighed:
    """Escapes and overkill as the station will have them: areas, counts, zones and scores of the recipe decide.

    Args:
        draft: is run.
        camera: whose frames these are, for the scale of its rules.
        frames: good parts of no other use than the gate's, and labelled defects, if any.
        target: overkill rate and confidence.
        progress: told of each frame.

    Raises:
        ConfigError, ModelError: recipe or reference do not suit the draft, or it does not run.
    """
    good, defects = frames
    with draft.running() as product:
        recipe = product.recipe_for(camera)
        asks_more = min(rule.min_score for rule in recipe.rules.values()) < THRESHOLD
        if defects is None and not asks_more:
            return Weighed()
        looking = Looking(product.engine, recipe, target, reported(draft.bundle).score_floor)
        seen = look("good frames", good, looking, progress)
        bad = None if defects is None else look("defects", defects.paths, looking, progress)
    rejected = len(good) - seen.count(Verdict.PASS)
    return Weighed(
        None if defects is None or bad is None else trade_off(seen, defects, bad),
        prove(len(good), rejected, *target) if asks_more else None,
    )


def repeat(draft: Draft, parts: Sequence[StudyPart], seed: int, progress: Progress, *, fast: bool) -> ExtraSection:
    """Is a part's verdict the same each time? Raises ConfigError, RequestError, ModelError."""
    with draft.running() as product:
        limits = _FAST if fast else StudyLimits()
        found = study(product.engine, product.recipe, parts, seed, progress, limits)
    unproven = [repeatability_page.headline(found)] if found.made.within.word != "acceptable" else []
    if found.real is None:
        unproven.append("How camera, fixture and loading repeat: give repeated pictures of parts with --repeats.")
    page = repeatability_page.section(found)
    return ExtraSection(Slot.REPEATABILITY, repeatability_page.TITLE, page, found.as_json(), tuple(unproven))


def meet_masters(config: StationConfig, draft: Draft, progress: Progress) -> Found:
    """Does the draft say of every master part what is known of it? Its picture's own checks are left out.

    Raises:
        ConfigError, ModelError: recipe or reference do not suit the draft, or it does not run.
    """
    store = MasterStore(config.station.data_dir, draft.product.id)
    if not store.exists:
        return NOTHING
    progress.stage("masters", 1)
    watch = PictureWatch({camera.id: CameraRules(frozenset(Check)) for camera in config.camera}, {}, Health())
    with draft.running() as product:
        timeout_s = config.inference.timeout_ms / 1000
        judge = Judge(product, watch, product.engine.submit, timeout_s, config.cut_sizes)
        check = check_masters(store, judge, Request(config.station.id, whoever()))
    progress.advance()
    against = "" if check.outcome is CheckOutcome.PASSED else check.why
    return Found((_masters_section(check),), against)


def tune_draft(
    config: StationConfig, draft: Draft, frames: Sequence[Path], seconds: float, progress: Progress
) -> ExtraSection:
    """How this machine runs the draft best for this station; the plan is kept for when it is active.

    Raises:
        ModelError: it cannot be run here.
        StorageError: the data folder cannot be written.
    """
    images = [read_image(path) for path in frames[:FRAMES]]
    seen = {camera.id: images for camera in config.camera}
    facts = station_facts(config, draft.product, draft.bundle, frames=seen)
    tuned = tune(draft.bundle, facts, TuneLimits(seconds, planning=seconds >= _PLANNING_FROM_S), progress)
    tuned.keep(datetime.now(UTC))
    late = f"No plan holds line.deadline_ms {config.line.deadline_ms:g} on this machine: parts would be UNDECIDED."
    unproven = () if tuned.fits else (late,)
    return ExtraSection(Slot.SPEED, tuning_page.TITLE, tuning_page.section(tuned), tuned.as_json(), unproven)


def too_many_escapes(trade: TradeOff | None, most: float | None) -> str:
    """Why a model with these escapes must not become active; empty where they are few enough, or nobody asked."""
    if most is None:
        return ""
    if trade is None:
        return f"at most {most:.1%} of bad parts may pass, and none were given: name a folder of them with --defects"
    few = len(trade.defects) < ENOUGH_DEFECTS
    return f"{trade.claim} At most {most:.1%} was asked." if few or trade.escape.value > most else ""


def _masters_section(check: CheckRecord) -> ExtraSection:
    passed = check.outcome is CheckOutcome.PASSED
    rows = [
        (one.name, one.expected, one.got or "nothing", "" if one.score is None else f"{one.score:.3f}")
        for one in check.masters
    ]
    said = "Every master part gets the verdict that is known of it." if passed else check.why
    body = (
        f'<p class="verdict {"good" if passed else "bad"}">{html.escape(said)}</p>'
        f"{table(('master part', 'expected', 'got', 'score'), rows)}"
        "<p>Their pictures were judged by model and recipe; exposure, sharpness and place of a stored picture were not "
        "held against the camera's new limits.</p>"
    )
    return ExtraSection(Slot.MASTERS, "Master parts", body, check.model_dump(mode="json", by_alias=True))


def _score(master: MasterRecord) -> str:
    return "" if master.score is None else f"{master.score:.3f}"
