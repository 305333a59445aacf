"""The folder that a live collection fills: frames by number, written whole or not at all, so that a kill loses none.

Invariants:
- A frame that has its name is whole and on disk; what a kill left unfinished has another ending and is removed.
- A folder belongs to one camera, roi and way of showing parts: going on with another would mix two sets unseen.
"""

import json
from pathlib import Path

import cv2

from edge.calibrate.frames.picture_files import write_picture
from edge.domain.errors import ConfigError, StorageError
from edge.domain.frame import Image
from models.dataset.image_files import decode
from models.durable import sync_directory

ORIGIN = "taken.json"


class LiveFolder:
    """Frames of one collection.

    Args:
        path: the folder; made if need be.
        origin: whose frames these are, in words that JSON can hold.
        repeats: frames of each part; with more than one their names are part and repeat, else the part alone.
        resume: go on where an earlier run ended.

    Raises:
        ConfigError: it holds frames and `resume` is not asked for, or they are of another origin.
        StorageError: it cannot be read or written.
    """

    def __init__(self, path: Path, origin: dict[str, object], *, repeats: int = 1, resume: bool = False) -> None:
        self.path = path
        self._repeats = repeats
        try:
            path.mkdir(parents=True, exist_ok=True)
            for unfinished in path.glob("*.part"):
                unfinished.unlink()
            there = sorted(path.glob("*.png"))
            self._check(there, origin, resume=resume)
            (path / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
            sync_directory(path)
        except OSError as error:
            raise StorageError(f"cannot collect frames in {path}: {error.strerror}") from error
        self.kept = len(there)

    def name(self, number: int) -> str:
        """The file of the frame with this number, from 0."""
        part, repeat = divmod(number, self._repeats)
        return f"{part + 1:06d}.png" if self._repeats == 1 else f"{part + 1:04d}-{repeat + 1}.png"

    def keep(self, image: Image) -> None:
        """Write the next frame; it is on disk when this returns. Raises StorageError."""
        write_picture(self.path / self.name(self.kept), image)
        self.kept += 1

    def last(self) -> Image | None:
        """The newest kept frame, if there is one."""
        return decode(self.path / self.name(self.kept - 1), cv2.IMREAD_COLOR) if self.kept else None

    def _check(self, there: list[Path], origin: dict[str, object], *, resume: bool) -> None:
        if there and not resume:
            raise ConfigError(
                f"calibrate: {self.path} holds {len(there)} frames already: go on with --resume, or name another folder"
            )
        wanted = [self.name(number) for number in range(len(there))]
        if strange := [path.name for path in there if path.name not in wanted]:
            raise ConfigError(
                f"calibrate: {self.path} holds {strange[0]}, and {wanted[0]} to {wanted[-1]} were expected: name "
                "another folder"
            )
        if there and (found := self._origin()) != json.loads(json.dumps(origin)):
            raise ConfigError(
                f"calibrate: the frames in {self.path} were taken as {found}, and now {origin} is asked for: name "
                "another folder"
            )

    def _origin(self) -> object:
        try:
            return json.loads((self.path / ORIGIN).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return "nobody knows"
