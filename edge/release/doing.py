"""What is done of a release on disk and beside the line, step by step. Each may be done again after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from edge.config import StationConfig
from edge.domain.errors import StorageError
from edge.release.around import Shadow, Trust
from edge.release.course import Course, Phase
from edge.release.kept import KeptCourse, course_path
from edge.release.taking import admitted, take, users_of
from edge.release.trial import Limits
from models import bundle_store
from models.bundle import open_for_line
from models.bundle_store import active_bundle, version_path
from models.errors import BusyError, ModelError

log = structlog.get_logger()
_STARTS_MOST = 3


class Doing:
    """The steps of one station. One thread's alone.

    Args:
        config: the station's.
        kept: where its release is written down.
        trust: what is signed.
        shadow: lets it look beside the model in use.
        limits: of its trial.
    """

    def __init__(self, config: StationConfig, kept: KeptCourse, trust: Trust, shadow: Shadow, limits: Limits) -> None:
        self._config = config
        self._kept = kept
        self._trust = trust
        self._shadow = shadow
        self._limits = limits

    def check(self, course: Course, file: Path, say: Callable[[], None]) -> Course:
        """Take the file as far as a version of the station's own; then it is ready for its shadow.

        Args:
            course: as it stands.
            file: whole.
            say: called once the signature is good, before the trial.

        Raises:
            NotYetError: what is signed cannot be had just now.
            ConfigError, ModelError: it is refused.
            StorageError: the disk refuses.
            StoppedError: the station ends.
        """
        job = course.job
        signed = admitted(self._trust, self._config, job.name, (job.size_bytes, job.sha256))
        say()
        taken = take(self._config, signed, file, self._limits)
        model = taken.bundle.model_id
        before = self.active(model.id)
        course = replace(
            course,
            bundle=model.id,
            version=model.version,
            sha256=model.sha256,
            signed=signed,
            before=before or 0,
            rejects_masters=taken.rejects_masters,
        )
        if before == model.version:
            earlier = self._kept.before(model.id, model.version)
            decides = replace(course, phase=Phase.LIVE, before=earlier, proven=True, why="it decides here already")
            return self.keep(decides)
        return self.keep(replace(course, phase=Phase.SHADOW, why="", beside={}, decided={}))

    def begin_shadow(self, course: Course) -> None:
        """Let it look beside the model in use. Raises ConfigError, ModelError."""
        bundle = open_for_line(version_path(self._config.bundles_dir, course.bundle, course.version))
        for product in self.products(course):
            self._shadow.begin(product, bundle)

    def end_shadow(self, course: Course) -> None:
        """It looks no more; nothing happens where it did not."""
        for product in self.products(course):
            self._shadow.end(product)

    def activate(self, course: Course) -> Course:
        """Have it decide from the next trigger on.

        What was signed may be taken back while it looks, so that is asked once more before its first activation.

        Raises:
            NotYetError: what is signed cannot be had just now.
            ModelError: it cannot, or may not any more.
            StorageError: the disk refuses.
        """
        if course.phase is Phase.SHADOW and course.signed is not None:
            admitted(self._trust, self._config, course.job.name, (course.job.size_bytes, course.job.sha256))
        course = self.keep(replace(course, phase=Phase.GOING_LIVE, why=""))
        if course.signed is not None:
            self._trust.note_taken(course.signed)
        _activate(self._config, course.bundle, course.version)
        return self.settle(course)

    def settle(self, course: Course) -> Course:
        """It decides. Raises StorageError."""
        self.end_shadow(course)
        return self.keep(replace(course, phase=Phase.LIVE, why="", decided={}))

    def go_back(self, course: Course, why: str) -> Course:
        """Have the bundle before it decide again, also where the disk takes no note of it.

        Raises:
            ModelError: that bundle cannot decide, or nobody knows which it was.
            StorageError: the disk does not take that either.
        """
        if not course.before:
            raise ModelError(
                f"which version of {course.bundle!r} decided before v{course.version} is not known: "
                "`edge bundle list`, then `edge bundle activate` the one that shall"
            )
        self.keep_quietly(replace(course, phase=Phase.GOING_BACK, why=why))
        _activate(self._config, course.bundle, course.before)
        back = replace(course, phase=Phase.BACK, why=why)
        self.keep_quietly(back)
        return back

    def over(self, course: Course, phase: Phase, why: str) -> Course:
        """Nothing more becomes of it. Raises StorageError."""
        if course.bundle:
            self.end_shadow(course)
        return self.keep(replace(course, phase=phase, why=why))

    def keep(self, course: Course) -> Course:
        """Write down where it stands. Raises StorageError."""
        self._kept.keep(course)
        return course

    def keep_quietly(self, course: Course) -> None:
        """As `keep`, for what is worth less than going on: a disk that refuses is only logged."""
        try:
            self._kept.keep(course)
        except StorageError as error:
            log.warning("where a release stands is not written down", phase=course.phase.value, why=str(error))

    def active(self, bundle_id: str) -> int | None:
        """The version that decides, or would; None where a link names none."""
        try:
            return int(active_bundle(self._config.bundles_dir, bundle_id).name[1:])
        except ModelError:  # whoever loads it says so
            return None

    def products(self, course: Course) -> list[str]:
        """The products that it looks at."""
        return [section.id for section in users_of(self._config, course.bundle)]


def _activate(config: StationConfig, bundle_id: str, version: int) -> None:
    try:
        bundle_store.activate(config.bundles_dir, bundle_id, version)
    except (OSError, BusyError) as error:  # it is tried again
        raise StorageError(f"cannot make v{version} of {bundle_id!r} the active one: {error}") from error


def before_start(config: StationConfig) -> None:
    """Count a start of a station with a release on probation; after a few that came to no orderly end, go back.

    A model that ends the station, or with which it cannot start, would else never be judged by anybody. What cannot be
    read or done here is left to those who say so: the start itself goes on.
    """
    try:
        _count_start(config, KeptCourse(course_path(config)))
    except (ModelError, StorageError) as error:
        log.error("whether a release must go back is not known", why=str(error))


def _count_start(config: StationConfig, kept: KeptCourse) -> None:
    course = kept.course
    if course is None or course.phase not in {Phase.GOING_LIVE, Phase.LIVE} or course.proven:
        return
    course = replace(course, starts=course.starts + 1)
    kept.keep(course)
    active = active_bundle(config.bundles_dir, course.bundle)
    if course.starts <= _STARTS_MOST or active != version_path(config.bundles_dir, course.bundle, course.version):
        return
    why = f"the station was started {course.starts} times since, and came to no orderly end"
    _activate(config, course.bundle, course.before)
    kept.keep(replace(course, phase=Phase.BACK, why=why))
    log.error("a release went back", name=course.job.name, why=why)
