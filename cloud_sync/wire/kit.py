"""A kit: what makes a machine this station again. A tar archive whose first member says what else is in it.

- `edge backup` writes one, with the database; `cloud spare` writes one from what the station sent, without.
- The manifest names every file with its size and sha256; an archive that holds anything else, or less, is refused.
- station.toml comes first after it: it says where the rest belongs.
- Names are relative, checked before they reach a path; members are plain files, links stand in the manifest alone.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, BinaryIO, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.records import Sha256
from cloud_sync.wire.topics import STATION_PATTERN

MANIFEST = "manifest.json"
CONFIG = "station.toml"
SCHEMA = "inspectd.kit.v1"
MANIFEST_LIMIT_BYTES = 256 * 1024**2  # a million images by name
_TOPS = {"beside", "data", "identity"}
_NAME_BYTES, _STEP_BYTES = 1024, 255
_PIECE_BYTES = 1024**2
_LINK = re.compile(r"data/bundles/[a-z0-9][a-z0-9._-]{0,63}/(active|previous)")


class KitError(LinkError):
    """An archive is no kit, is damaged, or is from a newer version."""


def _checked_name(name: str) -> str:
    steps = name.split("/")
    if name != CONFIG and (len(steps) < 2 or steps[0] not in _TOPS):  # noqa: PLR2004 - a folder of ours, and a file
        raise ValueError(f"a file of a kit is {CONFIG} or lies in {', '.join(sorted(_TOPS))}, got {name[:120]!r}")
    if any(step in {"", ".", ".."} or len(step.encode()) > _STEP_BYTES for step in steps):
        raise ValueError(f"a file's name leads nowhere else, got {name[:120]!r}")
    if len(name.encode()) > _NAME_BYTES or "\\" in name or not name.isprintable():
        raise ValueError(f"a file's name is short and printable, got {name[:120]!r}")
    return name


def _checked_link(name: str) -> str:
    if not _LINK.fullmatch(name):
        raise ValueError(f"only a bundle's active and previous version are links, got {name[:120]!r}")
    return name


KitName = Annotated[str, AfterValidator(_checked_name)]
LinkName = Annotated[str, AfterValidator(_checked_link)]


class KitFile(BaseModel):
    """What a file of the kit must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class KitManifest(BaseModel):
    """What is in a kit.

    `links` are versions that are active; `left_out` says in words what station.toml names and the kit does not hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspectd.kit.v1"] = Field("inspectd.kit.v1", alias="schema")
    station: Annotated[str, Field(pattern=rf"^{STATION_PATTERN}$")]
    version: Annotated[str, Field(pattern=r"^[ -~]{0,64}$")] = ""
    made_at: datetime | None = None
    files: dict[KitName, KitFile]
    links: dict[LinkName, Annotated[str, Field(pattern=r"^v[1-9][0-9]{0,8}$")]] = {}
    left_out: list[Annotated[str, Field(max_length=2000)]] = []

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files.values())

    def pack(self) -> bytes:
        """The manifest as bytes: the same kit gives the same bytes."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive, to be read once; `copy` checks it."""

    name: str
    expected: KitFile
    content: BinaryIO

    def copy(self, into: BinaryIO) -> None:
        """All of its bytes, checked. Raises KitError, OSError."""
        found = _copy(self.content, into)
        if found != self.expected:
            raise KitError(
                f"{self.name} is damaged: expected {self.expected.size_bytes} bytes of sha256 {self.expected.sha256}, "
                f"got {found.size_bytes} of {found.sha256}: take another copy of this archive"
            )


def read_manifest(raw: bytes) -> KitManifest:
    """The manifest in the bytes. Raises KitError."""
    try:
        content = json.loads(raw)
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            raise KitError(
                f"found a kit of {str(schema)[:80]!r}, this version knows {SCHEMA!r}: nothing was changed; "
                "install the inspectd that wrote it, or a newer one"
            )
        return KitManifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "manifest"
        raise KitError(f"the kit's manifest is none: {where}: {first['msg']}"[:500]) from error
    except (ValueError, RecursionError) as error:
        raise KitError(f"the kit's manifest is no JSON: {error}"[:500]) from error


def write_kit(into: BinaryIO, manifest: KitManifest, contents: Mapping[str, Callable[[], BinaryIO]]) -> None:
    """Write the archive; each file is checked on the way.

    Args:
        into: takes the bytes, one after the other.
        manifest: of all files.
        contents: opens each file by its name in the manifest.

    Raises:
        KitError: a file is no longer what the manifest says.
        OSError: one cannot be read or written.
    """
    with tarfile.open(fileobj=into, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        raw = manifest.pack()
        archive.addfile(_header(MANIFEST, len(raw), manifest), io.BytesIO(raw))
        for name in sorted(manifest.files, key=lambda name: (name != CONFIG, name)):
            expected = manifest.files[name]
            with contents[name]() as content:
                checking = _Checking(content)
                try:
                    archive.addfile(_header(name, expected.size_bytes, manifest), checking)
                except (OSError, tarfile.TarError) as error:
                    raise KitError(f"{name} changed while it was read, or cannot be read: {error}") from error
                if checking.digest.hexdigest() != expected.sha256 or content.read(1):
                    raise KitError(f"{name} changed while it was read: try again")


@contextmanager
def open_kit(file: BinaryIO) -> Iterator[tuple[KitManifest, Iterator[Member]]]:
    """The manifest, read and checked, and then each member; every one is in the manifest, each once.

    Raises:
        KitError: it is no kit, damaged, from a newer version, or holds what no kit holds.
    """
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            manifest = _first(archive)
            yield manifest, _members(archive, manifest)
    except (tarfile.TarError, EOFError, MemoryError) as error:
        raise KitError(f"it is no archive of ours, or it is cut off: {error}") from error


def _first(archive: tarfile.TarFile) -> KitManifest:
    member = archive.next()
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > MANIFEST_LIMIT_BYTES:
        raise KitError(f"an archive of ours begins with {MANIFEST}, this one does not")
    content = archive.extractfile(member)
    assert content is not None  # noqa: S101 - it is a regular file
    return read_manifest(content.read())


def _members(archive: tarfile.TarFile, manifest: KitManifest) -> Iterator[Member]:
    missing = dict(manifest.files)
    while (member := archive.next()) is not None:
        expected = missing.pop(member.name, None)
        if expected is None:
            raise KitError(f"the archive holds {member.name[:120]!r}, which its manifest does not name, or names once")
        if not member.isreg() or member.issparse():
            raise KitError(f"{member.name} is no plain file: an archive of ours holds nothing else")
        if member.size != expected.size_bytes:
            raise KitError(f"{member.name} has {member.size} bytes, its manifest says {expected.size_bytes}")
        content = archive.extractfile(member)
        assert content is not None  # noqa: S101 - it is a regular file
        yield Member(member.name, expected, content)  # type: ignore[arg-type]
    if missing:
        raise KitError(f"the archive lacks {min(missing)} and {len(missing) - 1} more: it is cut off")


def _copy(content: BinaryIO, into: BinaryIO) -> KitFile:
    digest, size = hashlib.sha256(), 0
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
        into.write(piece)
    return KitFile(sha256=digest.hexdigest(), size_bytes=size)


def _header(name: str, size_bytes: int, manifest: KitManifest) -> tarfile.TarInfo:
    header = tarfile.TarInfo(PurePosixPath(name).as_posix())
    header.size, header.mode = size_bytes, 0o600
    header.mtime = 0 if manifest.made_at is None else int(manifest.made_at.timestamp())
    return header


class _Checking:
    """A file that is hashed as it is read."""

    def __init__(self, content: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._content = content

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self.digest.update(piece)
        return piece
