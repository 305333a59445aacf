"""Frames of good parts from a camera of the station, through the driver and drain that inspect later.

Invariants:
- What was kept stays, whatever ends the collection: a lost camera, the time limit, Ctrl-C, a kill.
- Every wait is bounded: by the camera's own patience, and all of them together by the time limit.
"""

import queue
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge.calibrate.live_folder import LiveFolder
from edge.calibrate.passing_parts import Look, Pace, PassingParts
from edge.capture.camera import Camera
from edge.capture.drain import CaptureLimits, Drain
from edge.capture.grab import await_first
from edge.capture.latest import Latest
from edge.capture.open import is_replayed
from edge.capture.pictures.flaws import look
from edge.config import CameraSection
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Frame
from edge.domain.secrets import redacted
from edge.record.lock import owner_of
from models.progress import Progress

_LOST_PATIENCE_S = 10.0
_RETRY_S = 0.2
_POLL_S = 0.02
_STOP_S = 5.0


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
            with _frames(section, camera, wanted) as source:
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

    def run(self, source: "_Source") -> None:
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


class _Source:
    """The next frame of a camera that is triggered from here or watched; losses are waited out, within a limit."""

    def __init__(self, section: CameraSection, drain: Drain, patience_s: float, interval_s: float) -> None:
        self._drain = drain
        self._between_s = max(_POLL_S, interval_s) if section.trigger == "software" else 0.0
        self._latest = Latest(drain)
        self._triggered = section.trigger == "software"
        self._ends = is_replayed(section) and not section.loop
        self._patience_s = patience_s
        self._timeout_s = (section.latency_ms + section.timeout_ms) / 1000
        self._heard_s = time.monotonic()

    def next(self, until_s: float) -> Frame | None:
        """A frame that was not seen yet; None where none came for now.

        Raises:
            CameraError: none came for so long that it is given up.
        """
        try:
            frame = self._ask(until_s) if self._triggered else self._watch(until_s)
        except CameraError as error:
            lost = error.reason == "camera_lost"
            if self._drain.failure is not None or (lost and self._ends) or time.monotonic() >= self._give_up_s:
                raise
            self.pause(_RETRY_S if lost else 0.0, until_s)
            return None
        self._heard_s = time.monotonic()
        return frame

    def pause(self, seconds: float, until_s: float) -> None:
        """Let time pass, not beyond `until_s` (monotonic), and between two triggers the interval at least."""
        time.sleep(max(0.0, min(max(seconds, self._between_s), until_s - time.monotonic())))

    @property
    def _give_up_s(self) -> float:
        return self._heard_s + self._patience_s

    def _ask(self, until_s: float) -> Frame:
        now_s = time.monotonic()
        return self._drain.take(self._drain.claim(now_s), min(until_s, now_s + self._timeout_s))

    def _watch(self, until_s: float) -> Frame:
        return self._latest.take(min(until_s, self._give_up_s))


@contextmanager
def _frames(section: CameraSection, camera: Camera, wanted: LiveWanted) -> Iterator[_Source]:
    """The camera, opened and giving; closed at the end. Raises CameraError."""
    limits = CaptureLimits(
        section.latency_ms / 1000, section.timeout_ms / 1000, section.max_age_ms / 1000, section.buffer_frames
    )
    states: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
    triggered = section.trigger == "software"
    drain = Drain(section.id, camera, limits, triggered=triggered, on_state=lambda lost, why: states.put((lost, why)))
    waits_for_line = section.trigger == "hardware"
    drain.start()
    try:
        await_first(states, section, wanted.limit_s if waits_for_line else None)
        patience_s = wanted.limit_s if waits_for_line else wanted.patience_s
        yield _Source(section, drain, patience_s, wanted.pace.interval_s)
    finally:
        drain.stop(_STOP_S)
