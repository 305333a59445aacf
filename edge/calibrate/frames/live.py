"""Frames of good parts from a camera of the station, through the driver and drain that inspect later.

Invariants:
- What was kept stays, whatever ends the collection: a lost camera, the time limit, Ctrl-C, a kill.
- Every wait is bounded: by the camera's own patience, and all of them together by the time limit.
"""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge.calibrate.frames.live_folder import LiveFolder
from edge.calibrate.frames.live_source import LiveSource, opened
from edge.calibrate.frames.passing_parts import Look, Pace, PassingParts
from edge.capture.camera import Camera
from edge.capture.pictures.flaws import look
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Frame
from edge.domain.secrets import redacted
from edge.record.lock import owner_of
from models.progress import Progress

_LOST_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class LiveWanted:
    """What is to be collected.

    Args:
        parts: how many.
        pace: when a frame counts as another part's, and how many of each are taken.
        limit_s: the whole collection takes no longer.
        patience_s: so long no frame, or no camera, before it is given up; where the line triggers, the whole limit.
        resume: go on with the frames that an earlier run kept.
    """

    parts: int
    pace: Pace = field(default_factory=Pace)
    limit_s: float = 600.0
    patience_s: float = _LOST_PATIENCE_S
    resume: bool = False

    @property
    def frames(self) -> int:
        """How many frames that makes."""
        return self.parts * self.pace.repeats


@dataclass(frozen=True, slots=True)
class LiveTaken:
    """What came: frames kept in all, of them by earlier runs, seen by this one, and passed over, by reason."""

    folder: Path
    frames: int
    resumed: int
    seen: int
    passed_over: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return asdict(self) | {"folder": str(self.folder)}


def collect_live(
    section: CameraSection, camera: Camera, wanted: LiveWanted, folder: Path, progress: Progress, *, data_dir: Path
) -> LiveTaken:
    """Take frames until there are as many as wanted, each written before the next one counts.

    A software-triggered camera is triggered here, at the pace; one that runs freely or is triggered by the line is
    watched.

    Args:
        section: the camera's; its time limits hold as on the line.
        camera: its driver, cut to its roi; used by this call alone.
        wanted: how many, how and how long.
        folder: where the frames go.
        progress: told of each kept frame, and in words of what is waited for.
        data_dir: the station's, to see whether its daemon runs and may hold the camera.

    Raises:
        ConfigError: no part is wanted, or the folder will not do.
        CameraError: the camera gave no frame, was lost, or too few came in time; what came is kept.
        StorageError: a frame cannot be written.
    """
    if wanted.parts < 1 or wanted.pace.repeats < 1:
        raise ConfigError(f"calibrate: {wanted.parts} parts, {wanted.pace.repeats} frames each: ask for one at least")
    kept = LiveFolder(folder, _origin(section, wanted), repeats=wanted.pace.repeats, resume=wanted.resume)
    progress.stage("take frames", wanted.frames)
    progress.advance(min(kept.kept, wanted.frames))
    taking = _Taking(section, wanted, kept, progress)
    try:
        if kept.kept < wanted.frames:
            with opened(section, camera, wanted.pace.interval_s, (wanted.patience_s, wanted.limit_s)) as source:
                taking.run(source)
    except CameraError as error:
        raise CameraError(f"{error}{_holder(data_dir)}{taking.story}", error.reason) from error
    return taking.taken()


def _origin(section: CameraSection, wanted: LiveWanted) -> dict[str, object]:
    roi = None if section.roi is None else list(section.roi)
    return {"camera": section.id, "source": redacted(str(section.source)), "roi": roi, "repeats": wanted.pace.repeats}


def _holder(data_dir: Path) -> str:
    owner = owner_of(data_dir)
    if owner is None:
        return ""
    return f"; the station's daemon runs (process {owner}) and may hold the camera: stop it first"


class _Taking:
    """One run: judges what comes, keeps what is new, counts the rest."""

    def __init__(self, section: CameraSection, wanted: LiveWanted, kept: LiveFolder, progress: Progress) -> None:
        self._section = section
        self._wanted = wanted
        self._kept = kept
        self._progress = progress
        self._resumed = kept.kept
        self._parts = PassingParts(wanted.pace, kept.kept, kept.last())
        self._passed: Counter[str] = Counter()
        self._seen = 0
        self._started_s = time.monotonic()
        self._until_s = self._started_s + wanted.limit_s

    def run(self, source: LiveSource) -> None:
        self._say()
        while self._kept.kept < self._wanted.frames:
            if time.monotonic() >= self._until_s:
                raise CameraError(f"camera {self._section.id!r}: {self._wanted.limit_s:g} s are over", "no_frame")
            frame = source.next(self._until_s)
            if frame is not None:
                self._see(frame)
                source.pause(self._parts.early_s(frame.monotonic_s), self._until_s)

    def _see(self, frame: Frame) -> None:
        self._seen += 1
        answer = look(frame.image).flaw or self._parts.judge(frame.image, frame.monotonic_s).value
        if answer == Look.NEW:
            self._kept.keep(frame.image)
            self._progress.advance()
        else:
            self._passed[answer.partition(":")[0]] += 1
        self._say()

    def _say(self) -> None:
        """What the operator is to do, and what was passed over."""
        pace, kept = self._wanted.pace, self._kept.kept
        words = []
        if self._parts.awaits_change and kept < self._wanted.frames and (pace.by_hand or pace.repeats > 1):
            words.append(f"show part {kept // pace.repeats + 1} of {self._wanted.parts}")
        elif pace.repeats > 1 and not self._parts.awaits_change:
            words.append(f"leave part {kept // pace.repeats + 1}: frame {kept % pace.repeats + 1} of {pace.repeats}")
        if self._passed:
            words.append(f"passed over: {self._passed_over}")
        self._progress.note("; ".join(words))

    @property
    def _passed_over(self) -> str:
        return ", ".join(f"{count} {word}" for word, count in self._passed.most_common())

    @property
    def story(self) -> str:
        """How many came, what was passed over, and what to do."""
        told = f"; {self._kept.kept} of {self._wanted.frames} frames are kept in {self._kept.path}"
        told += f", {self._seen} were seen now"
        told += f", passed over: {self._passed_over}" if self._passed else ""
        return f"{told}. {self._advice()}Go on with --resume"

    def _advice(self) -> str:
        word, count = max(self._passed.items(), key=lambda each: each[1], default=("", 0))
        if 2 * count <= self._seen:
            return ""
        return {
            Look.SAME.value: (
                "Most showed the part of the last kept one: does the belt move, is the picture frozen? Where parts "
                "look so alike, take every frame. "
            ),
            Look.MOVING.value: "The picture never rested: hold the part still, keep hands out of sight. ",
            Look.EARLY.value: "",
        }.get(word, f"Most were {word}: look at one with `edge camera grab`. ")

    def taken(self) -> LiveTaken:
        took_s = round(time.monotonic() - self._started_s, 2)
        return LiveTaken(self._kept.path, self._kept.kept, self._resumed, self._seen, dict(self._passed), took_s)
