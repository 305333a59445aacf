"""Frames for calibration, from a folder: what cannot teach is refused, by name and with the reason.

Each file is read once, by as many threads as there are cores; of a frame only its measures and two thumbnails are kept,
of a refused one a small JPEG for the report, and of those no more than the report shows.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.calibrate.frames.cropping import Cropping
from edge.calibrate.frames.near_copies import Small, copies, residue_limit, small
from edge.calibrate.frames.odd_frames import Signs, odd_frames
from edge.capture.pictures.checks import Gauge
from edge.capture.pictures.flaws import look
from edge.capture.roi import Size
from edge.domain.errors import CameraError, ConfigError
from edge.domain.frame import Image
from models.cpus import granted_cpus
from models.dataset.image_files import decode
from models.near_twins import thumbnail
from models.progress import Progress

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MISALIGNED = "misaligned"
SHOWN = 24
_SIDE_MIN = 32
_SHOWN_PX = 96
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 70]
_MANY = 1 / 3
_THREADS_MOST = 4
_LIKELY = {
    "black": "lens cap, light or trigger",
    "blurred": "focus, vibration, or an exposure too long for the belt",
    "clipped": "light or exposure changed meanwhile",
    "duplicate": "the folder holds copies of the same files",
    "flat": "nothing in sight, or light or exposure far off",
    "near_duplicate": (
        "one part was taken again and again: the belt stood, or frames come faster than parts; where parts really are "
        "so alike, say that each frame is another part"
    ),
    "shifted": "camera or fixture moved meanwhile",
    "size": "frames of several cameras, or of another roi or resolution, lie together",
    "small": "these are no frames of a camera",
    "unreadable": "files are damaged, or still being copied",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was left out, and why."""

    name: str
    reason: str

    @property
    def word(self) -> str:
        """The reason's one word, to count by."""
        return self.reason.partition(":")[0]

    def as_json(self) -> dict[str, str]:
        """Plain values, without the picture."""
        return {"name": self.name, "reason": self.reason}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One usable frame's file, size, sha256 of its pixels, sharpness, and the thumbnail that finds near-twins.

    `stamp` is the file's, from before it was read.
    """

    path: Path
    width: int
    height: int
    sha256: str
    detail: float
    thumbnail: NDArray[np.float32]
    stamp: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Usable frames in the order of their names, what was refused, and small JPEGs, by name, of some refused ones."""

    frames: tuple[Frame, ...]
    refused: tuple[Refusal, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names this set of frames: sha256 over names and pixel digests."""
        lines = "".join(f"{frame.path.name} {frame.sha256}\n" for frame in self.frames)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def digests(self) -> frozenset[str]:
        """Of every usable frame's pixels."""
        return frozenset(frame.sha256 for frame in self.frames)

    def check_unchanged(self) -> None:
        """Raises ConfigError where a file is not the one that was judged: what was learned then has no name."""
        changed = [frame.path.name for frame in self.frames if _stamp(frame.path) != frame.stamp]
        if changed:
            raise ConfigError(
                f"calibrate: {len(changed)} frames changed or went while they were used, such as {changed[0]}: leave "
                "the folder alone until it is done, and start again"
            )

    def summary(self) -> dict[str, int]:
        """How many were refused, by reason."""
        return dict(Counter(refusal.word for refusal in self.refused))

    @property
    def misaligned(self) -> int:
        """Good frames that cannot be laid on a reference: UNDECIDED at the station, which the line rejects."""
        return self.summary().get(MISALIGNED, 0)

    @property
    def told(self) -> str:
        """One sentence or two: how many are used, how many refused and why; where those are many, what to look at."""
        counts = sorted(self.summary().items(), key=lambda each: -each[1])
        refused = f", {len(self.refused)} refused: {', '.join(f'{count} {word}' for word, count in counts)}"
        text = f"{len(self.frames)} frames are used{refused if counts else ', none refused'}"
        return f"{text}. {self.trouble}" if self.trouble else text

    @property
    def trouble(self) -> str:
        """What is likely wrong where more than a third of all frames is refused; else empty."""
        total = len(self.frames) + len(self.refused)
        if len(self.refused) <= _MANY * total:
            return ""
        counts = sorted(self.summary().items(), key=lambda each: -each[1])
        likely = "; ".join(f"{word}: {_LIKELY[word]}" for word, _ in counts[:2] if word in _LIKELY)
        return f"More than a third was refused, and the parts are hardly to blame. Look at this first: {likely}"


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame as it was read: what the judgement of the set needs, and no pixels."""

    name: str
    frame: Frame
    signs: Signs
    small: Small


def collect(
    folder: Path,
    progress: Progress,
    *,
    cropping: Cropping | None = None,
    refuse_near_duplicates: bool = True,
) -> Collected:
    """Every image file of the folder, read once, judged by itself and beside the others, in the order of the names.

    Args:
        folder: with frames of good parts.
        progress: told of each file.
        cropping: the camera's roi, where it has one: whole pictures are cut, those that were cut before are taken.
        refuse_near_duplicates: False where each frame is another part although nothing but noise sets them apart.

    Raises:
        ConfigError: the folder does not exist, or holds no usable image.
        CameraError: the folder cannot be read.
        StorageError: a cut picture cannot be written.
    """
    files = _files(folder)
    progress.stage("collect", len(files))
    seen, refused = _read(files, cropping, progress)
    odd = odd_frames([each.signs for each in seen])
    if refuse_near_duplicates:
        odd |= _near_duplicates(seen, odd)
    refused += [Refusal(each.name, odd[at]) for at, each in enumerate(seen) if at in odd]
    refused.sort(key=lambda refusal: refusal.name)
    frames = tuple(each.frame for at, each in enumerate(seen) if at not in odd)
    collected = Collected(frames, tuple(refused), _pictures(folder, refused))
    if not frames:
        raise ConfigError(f"calibrate: {folder} holds no usable image ({collected.told}): give good parts' frames")
    return collected


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"calibrate: {folder} is no folder: give a folder with frames of good parts")
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as fault:
        raise CameraError(f"calibrate: cannot read {folder}: {fault}") from fault


def _read(files: Sequence[Path], cropping: Cropping | None, progress: Progress) -> tuple[list[_Seen], list[Refusal]]:
    """What each file shows, or why it is refused by itself."""
    read = partial(_judge, cropping=cropping, whole=None if cropping is None else cropping.whole(files))
    known: dict[str, str] = {}
    seen: list[_Seen] = []
    refused: list[Refusal] = []
    with ThreadPoolExecutor(min(granted_cpus(), _THREADS_MOST)) as pool:
        for file, judged in zip(files, pool.map(read, files), strict=True):
            if isinstance(judged, str):
                refused.append(Refusal(file.name, judged))
            elif (first := known.setdefault(judged.frame.sha256, file.name)) != file.name:
                refused.append(Refusal(file.name, f"duplicate: same pixels as {first}"))
            else:
                seen.append(judged)
            progress.advance()
    return seen, refused


def _judge(file: Path, cropping: Cropping | None, whole: Size | None) -> _Seen | str:
    stamp = _stamp(file)
    name, pixels = file.name, decode(file, cv2.IMREAD_COLOR)
    if pixels is None:
        return "unreadable: no image, or cut short"
    if cropping is not None:
        cropped = cropping.apply(file, pixels, whole)
        if isinstance(cropped, str):
            return cropped
        file, pixels = cropped
        stamp = _stamp(file)
    width, height = pixels.shape[1], pixels.shape[0]
    if min(width, height) < _SIDE_MIN:
        return f"small: {width}x{height} pixels"
    looks = look(pixels)
    if looks.flaw:
        return looks.flaw
    gauge = Gauge()
    signs = Signs((width, height), looks, gauge.signs(pixels).sharpness, gauge.thumbnail())
    frame = Frame(file, width, height, pixel_digest(pixels), looks.detail, thumbnail(pixels), stamp)
    return _Seen(name, frame, signs, small(pixels))


def _stamp(file: Path) -> tuple[int, int]:
    """When a file was written, and its size; zeros where there is none."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _near_duplicates(seen: Sequence[_Seen], odd: dict[int, str]) -> dict[int, str]:
    usable = [index for index in range(len(seen)) if index not in odd]
    found = copies([seen[index].small for index in usable], [residue_limit(seen[index].signs.size) for index in usable])
    return {usable[at]: f"near_duplicate: as {seen[usable[first]].name} but for noise" for at, first in found.items()}


def _pictures(folder: Path, refused: Sequence[Refusal]) -> dict[str, bytes]:
    """A small picture of the first few of each reason, taken in turns, until there are as many as are shown."""
    before: Counter[str] = Counter()
    turns: list[int] = []
    for refusal in refused:
        turns.append(before[refusal.word])
        before[refusal.word] += 1
    chosen = sorted(range(len(refused)), key=lambda at: (turns[at], at))[:SHOWN]
    made = {refused[at].name: _picture(folder / refused[at].name) for at in chosen}
    return {name: picture for name, picture in made.items() if picture}


def _picture(file: Path) -> bytes:
    pixels = decode(file, cv2.IMREAD_COLOR)
    return b"" if pixels is None else jpeg_thumbnail(pixels)


def jpeg_thumbnail(image: Image) -> bytes:
    """An image, 96 pixels at most, as JPEG."""
    shrink = min(1.0, _SHOWN_PX / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink))
    return cv2.imencode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA), _JPEG)[1].tobytes()


def pixel_digest(image: Image) -> str:
    """Names an image's pixels, (H, W, 3) uint8, whatever file they came in: sha256."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
