"""Releases for a station in the test's own process: signed by a real repository, handed over as the downlink would."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from station_kit import Station, make_bundle, write_frames
from trust_kit import Repository

from cloud_sync.station.keeping import Word
from cloud_sync.wire import topics
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import BLOCK_BYTES, METADATA_MARK, Job, Probation, Stage, Want
from edge.daemon import Daemon
from edge.handover import Handover
from edge.release.gates import Beside
from models.archive import SUFFIX, pack
from models.bundle import Bundle
from models.trust.about import about_of

LIMITS = Limits(payload_bytes=250_000, in_flight=20)
OPEN = {
    "shadow_parts": 1,
    "live_parts": 1,
    "disagreement_most": 1.0,
    "undecided_most": 1.0,
    "reject_shift_most": 1.0,
    "escape_most": 1.0,
}  # floors of a station that asks for nothing: what the offer says holds alone
PROBATION = Probation(parts=20, disagreement_most=0.2)


class Cloud:
    """What signs and serves releases; its folder holds the bundles that they were made from.

    Args:
        folder: for them.
        station: that pins its root.
    """

    def __init__(self, folder: Path, station: Station) -> None:
        self.folder = folder
        self.repository = Repository()
        self.station = station
        identity = station.folder / "data" / "identity"
        identity.mkdir(parents=True, exist_ok=True)
        (identity / "root.json").write_bytes(self.repository.pinned)

    def release(self, bundle: Bundle, *, job: str = "", stations: tuple[str, ...] = ()) -> tuple[Job, Path]:
        """Sign a bundle and lay its file where the downlink leaves it; the offer and the file."""
        about = about_of(bundle, "blob", stations)
        releases = self.station.folder / "data" / "releases"
        releases.mkdir(parents=True, exist_ok=True)
        file = releases / f"{about.bundle}-v{about.version}{SUFFIX}"
        sha256 = pack(bundle, file)
        self.repository.release(about, file.read_bytes())
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
        name = job or f"{about.bundle}-{about.version}"
        offer = Job(job=name, kind="release", name=file.name, size_bytes=file.stat().st_size, sha256=sha256)
        return offer, file

    def made(self, version: int = 7, *, nan_above: float | None = None, blindness: float = 1) -> Bundle:
        """The blob graph as the trainer would have made it."""
        return make_bundle(self.folder, "blob", version, nan_above=nan_above, blindness=blindness)

    @contextmanager
    def answering(self, running: Daemon) -> Iterator[None]:
        """The station's questions for signed metadata are answered, as the broker would bring them."""
        stop, channel = threading.Event(), running._station.metadata  # noqa: SLF001 - its own channel, without a broker

        def publish(topic: str, payload: bytes) -> bool:
            assert topic == topics.want("test-1")
            want = Want.unpack(payload)
            content = self.repository.fetch(want.name.removeprefix(METADATA_MARK), 1 << 24) or b""
            for number in range(want.offset // BLOCK_BYTES, want.offset // BLOCK_BYTES + want.count):
                block = content[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
                asked.append((f"block/{want.name}/{number}", block))
            return True

        asked: list[tuple[str, bytes]] = []

        def serve() -> None:
            while not stop.wait(0.02):
                channel.work(0.0, publish)
                while asked:
                    channel.hear(*asked.pop(0))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)


def asks(job: Job, stage: Stage, probation: Probation | None = PROBATION) -> Job:
    """The same offer, further on."""
    return job.model_copy(update={"stage": stage, "probation": probation})


class Heard:
    """What a keeper said, in order."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self.all: list[Word] = []

    def words(self) -> list[Word]:
        self.all += self._handover.words()
        return self.all

    @property
    def states(self) -> list[str]:
        """Each once, in the order in which it was entered."""
        states = [word.state for word in self.words()]
        return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]

    def last(self) -> Word:
        return self.words()[-1]

    def is_at(self, *states: str) -> Callable[[], bool]:
        return lambda: bool(self.words()) and self.all[-1].state in states


class ListedShadow:
    """Implements `Shadow`: counts are what the test says."""

    def __init__(self) -> None:
        self.counts = Beside()
        self.looking: dict[str, str] = {}
        self.why = ""

    def begin(self, product_id: str, bundle: Bundle) -> None:
        self.looking[product_id] = bundle.model_id.sha256

    def end(self, product_id: str) -> None:
        self.looking.pop(product_id, None)

    def figures(self, product_id: str) -> Beside:  # noqa: ARG002 - one product
        return self.counts

    def trouble(self, product_id: str) -> str:  # noqa: ARG002 - one product
        return self.why


def release_station(
    folder: Path, *, bad_every: int = 3, deadline_ms: int = 4000, floors: Mapping[str, object] = OPEN
) -> Station:
    """A station with the blob bundle; every so-manieth frame shows a bad part."""
    settings = {"line": {"deadline_ms": deadline_ms}, "camera": {"timeout_ms": 3000}, "release": floors}
    station = Station(folder / "station", settings=settings)
    station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 6, bad_every=bad_every)
    return station
