"""Where a product's master parts lie: PNG files named by their content, and the manifest that says what they are.

Invariants:
- The manifest is replaced whole, after its pictures are on disk: an interrupted `add` leaves no half master.
- A picture is opened by its hash: a damaged or exchanged file is an error, never another master.
- What was removed stays in the manifest, with who and when.
"""

import fcntl
import getpass
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import cv2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.wire.records import Sha256
from edge.domain.errors import ConfigError, StorageError
from edge.domain.frame import Image
from edge.domain.part import Verdict
from models.decoding import decoded
from models.durable import replace_file, sync_directory
from models.errors import ModelError

MOST = 64  # of a product: a check of all of them must end before the shift does
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_Text = Annotated[str, Field(max_length=500)]


class Master(BaseModel):
    """One master part: its picture, which camera's it is, and what the station must make of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    camera: str
    good: bool
    expected_class: str | None = None
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1)]
    note: _Text = ""
    added_at: datetime
    added_by: str

    @property
    def expected(self) -> Verdict:
        """What the station must say of it."""
        return Verdict.PASS if self.good else Verdict.REJECT


class _Removed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    master: Master
    removed_at: datetime
    removed_by: str


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspectd.masters.v1"] = Field("inspectd.masters.v1", alias="schema")
    product: str
    masters: tuple[Master, ...] = ()
    removed: tuple[_Removed, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMaster:
    """A picture that shall become a master part; `by` and `at` say who adds it and when.

    With `size`, (width, height) that the camera's roi leaves, no other picture will do.
    """

    file: Path
    name: str
    camera: str
    good: bool
    by: str
    at: datetime
    expected_class: str | None = None
    note: str = ""
    size: tuple[int, int] | None = None


class MasterStore:
    """One product's master parts.

    Args:
        data_dir: the station's.
        product: of station.toml.
    """

    def __init__(self, data_dir: Path, product: str) -> None:
        self.folder = data_dir / "masters" / product
        self._product = product

    @property
    def exists(self) -> bool:
        """Whether the product ever had master parts here."""
        return self._path.exists()

    def masters(self) -> tuple[Master, ...]:
        """All of them, in the order they were added. Raises StorageError for a manifest that cannot be used."""
        return self._read().masters

    def image(self, master: Master) -> Image:
        """A master's pixels, (H, W, 3) uint8 BGR. Raises StorageError where the file is gone or not what was added."""
        path = self.path(master)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StorageError(f"master part {master.name!r}: cannot read {path}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != master.sha256:
            raise StorageError(
                f"master part {master.name!r}: {path} is not what was added, {len(content)} of {master.size_bytes} "
                "bytes and another hash: restore the file, or remove the master part and add it again"
            )
        image = decoded(content, cv2.IMREAD_COLOR)
        if image is None:
            raise StorageError(f"master part {master.name!r}: {path} is no picture")
        return image

    def path(self, master: Master) -> Path:
        """Where a master's picture lies."""
        return self.folder / f"{master.sha256}.png"

    def add(self, new: Sequence[NewMaster]) -> tuple[Master, ...]:
        """Keep these, all or none of them.

        Raises:
            ConfigError: a name is taken or will not do, a picture cannot be read or is one already, or there are too
                many.
            StorageError: the disk refuses.
        """
        made = [_encoded(each) for each in new]
        with self._changing() as manifest:
            _check_addition(manifest, [master for master, _ in made])
            for master, content in made:
                replace_file(self.path(master), content)
            masters = (*manifest.masters, *(master for master, _ in made))
            self._write(manifest.model_copy(update={"masters": masters}))
        return tuple(master for master, _ in made)

    def remove(self, name: str, by: str, at: datetime) -> Master:
        """Forget one; the manifest remembers that. Raises ConfigError where there is none, StorageError."""
        with self._changing() as manifest:
            known = {master.name: master for master in manifest.masters}
            if name not in known:
                raise ConfigError(
                    f"product {self._product!r} has no master part {name!r}, it has {', '.join(known) or 'none'}"
                )
            gone = known.pop(name)
            removed = (*manifest.removed, _Removed(master=gone, removed_at=at, removed_by=by))
            self._write(manifest.model_copy(update={"masters": tuple(known.values()), "removed": removed}))
            self.path(gone).unlink(missing_ok=True)
        return gone

    @property
    def _path(self) -> Path:
        return self.folder / "masters.json"

    def _read(self) -> _Manifest:
        try:
            manifest = _Manifest.model_validate_json(self._path.read_bytes())
            if manifest.product != self._product:
                raise ValueError(f"it is of product {manifest.product!r}")  # noqa: TRY301 - told below
        except FileNotFoundError:
            return _Manifest(schema="inspectd.masters.v1", product=self._product)
        except (OSError, ValidationError, ValueError) as error:
            raise StorageError(
                f"the list of master parts {self._path} cannot be used: restore it, or delete the folder and add the "
                f"master parts again: {error}"
            ) from error
        return manifest

    def _write(self, manifest: _Manifest) -> None:
        replace_file(self._path, manifest.model_dump_json(by_alias=True, indent=1).encode())

    @contextmanager
    def _changing(self) -> Iterator[_Manifest]:
        """The manifest, for one command at a time; leftovers of one that was killed are cleared away."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_directory(self.folder.parent)
            with (self.folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                manifest = self._read()
                kept = {self.path(master) for master in manifest.masters}
                for left in (*self.folder.glob("*.part"), *self.folder.glob("*.png")):
                    if left not in kept:
                        left.unlink(missing_ok=True)
                yield manifest
        except OSError as error:
            raise StorageError(f"cannot write master parts to {self.folder}: {error.strerror or error}") from error


def whoever() -> str:
    """The name of who runs this command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _encoded(new: NewMaster) -> tuple[Master, bytes]:
    """The master and its PNG. Raises ConfigError."""
    if not re.fullmatch(NAME, new.name):
        raise ConfigError(f"a master part's name is 1 to 64 of A-Z a-z 0-9 . _ -, got {new.name!r}: give one by --name")
    from models.scoring import read_image  # what scores brings OpenVINO, and who only lists has no use for it

    try:
        image = read_image(new.file)
    except ModelError as error:
        raise ConfigError(f"master part {new.name!r}: {new.file} is no readable picture") from error
    size = image.shape[1], image.shape[0]
    if new.size is not None and size != new.size:
        raise ConfigError(
            f"master part {new.name!r}: {new.file} has {size[0]}x{size[1]} pixels, and the roi of camera "
            f"{new.camera!r} leaves {new.size[0]}x{new.size[1]}: give what `edge camera grab` writes"
        )
    content = cv2.imencode(".png", image)[1].tobytes()
    master = Master(
        name=new.name,
        camera=new.camera,
        good=new.good,
        expected_class=new.expected_class,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        note=new.note[:500],
        added_at=new.at,
        added_by=new.by,
    )
    return master, content


def _check_addition(manifest: _Manifest, added: Sequence[Master]) -> None:
    names = {master.name: master for master in manifest.masters}
    pictures = {master.sha256: master for master in manifest.masters}
    for master in added:
        if master.name in names:
            raise ConfigError(
                f"product {manifest.product!r} has a master part {master.name!r} already: give another by --name"
            )
        if (same := pictures.get(master.sha256)) is not None:
            raise ConfigError(f"master part {master.name!r} is the same picture as {same.name!r}")
        names[master.name] = pictures[master.sha256] = master
    if len(names) > MOST:
        raise ConfigError(f"product {manifest.product!r} would have {len(names)} master parts, and {MOST} is the most")
