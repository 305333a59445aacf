"""A keeper of releases at work at a station whose line stands still, and what it said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from release_kit import Cloud, Heard, ListedShadow, asks
from station_kit import Station

from cloud_sync.wire.messages import Job
from edge.assembly import Assembly
from edge.changeover import Changeover
from edge.config import load_config
from edge.release.course import Course, Phase
from edge.release.gates import Beside
from edge.release.keeper import ReleaseKeeper
from edge.release.kept import KeptCourse, course_path
from edge.release.wiring import SignedReleases
from edge.tally import JudgedParts
from models.bundle import Bundle
from models.bundle_store import active_bundle, copy_next

GOOD = Beside(parts=30, rejects=10, champion_rejects=10)


class Kept:
    """A station whose line stands still, its keeper at work, and what that one said."""

    def __init__(self, station: Station, cloud: Cloud, shadow: ListedShadow | None = None) -> None:
        self.station = Assembly(load_config(station.config))
        self.shadow = shadow or ListedShadow()
        trust = SignedReleases(self.station.config, cloud.repository.fetch)
        self.keeper = ReleaseKeeper(self.station, trust, self.shadow)
        self.changeover = Changeover(self.station)
        self.heard = Heard(self.station.handover)

    def offer(self, job: Job, file: Path) -> None:
        self.station.handover.asked(job)
        self.station.handover.fetched(job, file)

    def decides(self, **counts: int) -> None:
        """So many parts were decided by what runs now."""
        model = self.station.products["blob"].engine.model_id.sha256
        self.station.model_tally._counts["blob", model] = JudgedParts(**counts)  # noqa: SLF001 - the line stands still

    def on_probation(self) -> bool:
        """It counts what is decided from here on."""
        return bool(self.heard.words()) and self.heard.last().why.startswith("decides on probation")

    def runs(self, version: int) -> Callable[[], bool]:
        return lambda: self.station.products["blob"].engine.model_id.version == version


@contextmanager
def keeping(station: Station, cloud: Cloud, shadow: ListedShadow | None = None) -> Iterator[Kept]:
    kept = Kept(station, cloud, shadow)
    kept.changeover.start()
    kept.keeper.start()
    try:
        yield kept
    finally:
        kept.keeper.stop(10)
        kept.changeover.stop(10)
        kept.station.port.stop(1)


def adopted(made: Station, cloud: Cloud, phase: Phase = Phase.SHADOW, **more: object) -> tuple[Job, Path, Bundle]:
    """A release that an earlier run of the station took as far as this phase."""
    release = cloud.made()
    job, file = cloud.release(release)
    bundle = copy_next(made.bundles, "blob", release, release.manifest.created_at)
    model, before = bundle.model_id, active(made)
    course = Course(asks(job, "live"), phase, "", "blob", model.version, model.sha256, before=before, **more)  # type: ignore[arg-type]
    KeptCourse(course_path(load_config(made.config))).keep(course)
    return job, file, bundle


def active(made: Station) -> int:
    return int(active_bundle(made.bundles, "blob").name[1:])
