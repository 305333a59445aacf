"""A bundle as one file, to travel: a plain tar, the same bytes for the same bundle wherever it is packed.

- Only what the manifest names is packed, and only that is unpacked: plain files, no links, no name that leads out.
- Unpacking ends in `open_bundle`, so a folder that is there is a bundle whose every byte was checked.
"""

import hashlib
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO

from models.bundle import MANIFEST, Bundle, open_bundle
from models.durable import sync_directory
from models.errors import ModelError
from models.scratch import UNPACKING, scratch_folder

SUFFIX = ".bundle"
SIZE_LIMIT_BYTES = 2 * 1024**3
_FILES_MOST = 1000
_PIECE_BYTES = 1024**2


def pack(bundle: Bundle, into: Path) -> str:
    """Write the bundle to a file, whole or not at all; the file's sha256.

    Args:
        bundle: opened, so every hash is verified.
        into: the file; replaced where it exists.

    Raises:
        ModelError: a file changed since it was verified, or the disk refuses.
    """
    beside = into.with_name(f".{into.name}.new")
    try:
        with beside.open("wb") as file:
            _write(bundle, file)
        sha256 = _sha256(beside)
        beside.replace(into)
        sync_directory(into.parent)
    except OSError as error:
        raise ModelError(f"cannot write {into}: {error.strerror or error}: make room, then try again") from error
    finally:
        beside.unlink(missing_ok=True)
    return sha256


def unpack(archive: Path, into: Path) -> Bundle:
    """The bundle in a file, as a folder that appears whole and verified, or not at all.

    Args:
        archive: as `pack` wrote it.
        into: the folder; must not exist.

    Raises:
        ModelError: it is no archive of ours, holds what no bundle holds, or does not verify.
    """
    if into.exists():
        raise ModelError(f"{into} is there already: remove it, or unpack elsewhere")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(into.parent, UNPACKING) as own:
            scratch = own / "files"
            scratch.mkdir()
            _read(archive, scratch)
            open_bundle(scratch)
            scratch.rename(into)
        sync_directory(into.parent)
    except OSError as error:
        raise ModelError(f"cannot unpack {archive}: {error.strerror or error}: make room, then try again") from error
    except (tarfile.TarError, EOFError) as error:
        raise ModelError(f"{archive} is no archive of a bundle, or it is cut off: {error}") from error
    return open_bundle(into)


def manifest_sha256(archive: Path) -> str:
    """The digest of the bundle that an archive holds, by its first file; nothing else of it is checked.

    Raises:
        ModelError: it is no archive of a bundle.
    """
    try:
        with tarfile.open(archive, mode="r:") as opened:
            member = opened.next()
            content = None if member is None or member.name != MANIFEST else opened.extractfile(member)
            if content is None:
                raise ModelError(f"{archive} does not begin with {MANIFEST}: `models.archive.pack` makes archives")
            with content:
                return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise ModelError(f"cannot read {archive}: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError) as error:
        raise ModelError(f"{archive} is no archive of a bundle: {error}") from error


def _write(bundle: Bundle, file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            path = bundle.path / name
            header = tarfile.TarInfo(name)
            header.size, header.mode = path.stat().st_size, 0o644
            entry = bundle.manifest.files.get(name)
            expected = bundle.model_id.sha256 if entry is None else entry.sha256
            if _sha256(path) != expected:
                raise ModelError(f"{path} changed since it was verified: open the bundle again")
            with path.open("rb") as content:
                archive.addfile(header, content)


def _read(archive: Path, into: Path) -> None:
    seen, left_bytes = set[str](), SIZE_LIMIT_BYTES
    with tarfile.open(archive, mode="r:") as opened:
        while (member := opened.next()) is not None:
            left_bytes -= member.size
            if member.name in seen or len(seen) >= _FILES_MOST or left_bytes < 0:
                raise ModelError(f"{archive} holds a name twice, or more than a bundle holds, at {member.name[:80]!r}")
            seen.add(member.name)
            _take(opened, member, into)


def _take(opened: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    steps = member.name.split("/")
    if not member.isreg() or member.issparse() or any(step in {"", ".", ".."} or "\\" in step for step in steps):
        raise ModelError(f"an archive of a bundle holds plain files with plain names, got {member.name[:80]!r}")
    target = into.joinpath(*steps)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = opened.extractfile(member)
    if content is None:
        raise ModelError(f"{member.name[:80]!r} cannot be read")
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file, _PIECE_BYTES)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
