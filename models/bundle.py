"""A bundle: an immutable model directory that proves itself when opened.

- Every file of the directory is in the manifest, and the manifest names no other: one too many or too few is refused.
- Every file has the size and sha256 that the manifest states. OpenVINO does not notice a flipped bit; this does.
- No name leads out of the directory: no symlink, no `..`, no absolute path.
- Writing is atomic: the version's directory appears whole, on disk, or not at all.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from models.durable import sync_directory
from models.errors import GateError, ModelError
from models.manifest import FileEntry, FindingEntry, Manifest, SelftestEntry, SelftestFile
from models.scratch import WRITING, scratch_folder
from models.spec import Alignment, Kind, ModelId, ModelSpec, Precision, Tiling

MANIFEST = "bundle.json"
SELFTEST = "selftest/expected.json"
_MANIFEST_MAX_BYTES = 4 << 20
_SCHEMA = re.compile(rb'"schema"\s*:\s*"(inspectd/bundle/[0-9]{1,9})"')
_Parsed = TypeVar("_Parsed", Manifest, SelftestFile)


@dataclass(frozen=True, slots=True)
class SelftestCase:
    """A frame of the bundle's own and what it must give, give or take: a score, findings, or scores by class."""

    frame: Path
    score: float
    tolerance: float
    reference: Path | None = None
    findings: tuple[FindingEntry, ...] | None = None
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every byte was checked when it was opened."""

    path: Path
    manifest: Manifest
    model_id: ModelId
    spec: ModelSpec
    selftest: tuple[SelftestCase, ...] = field(default=())

    @property
    def model_xml(self) -> Path:
        """The graph to run; its weights lie beside it."""
        return self.path / "model.xml"

    @property
    def fp32_xml(self) -> Path:
        """The graph before quantization."""
        return self.path / "fp32" / "model.xml"

    @property
    def reference(self) -> Path | None:
        """The picture that every frame is laid on before the graph looks; None where frames are taken as they come."""
        alignment = self.manifest.alignment
        return None if alignment is None or alignment.reference is None else self.path / alignment.reference

    @property
    def precision(self) -> Precision:
        """The arithmetic to compile the graph for."""
        return self.manifest.precision


def open_bundle(path: Path) -> Bundle:
    """The bundle in this directory, every file of it verified.

    Raises:
        ModelError: which file is missing, too many or wrong, what was expected and what came.
    """
    path = path.resolve()
    raw = _read_manifest(path)
    manifest = _parse(Manifest, raw, path / MANIFEST)
    _check_names(path, manifest)
    for name, entry in sorted(manifest.files.items()):
        _check_file(path, name, entry)
    digest = hashlib.sha256(raw).hexdigest()
    model_id = ModelId(manifest.id, manifest.version, digest, manifest.precision)
    return Bundle(path, manifest, model_id, _spec(manifest), _selftest(path, manifest))


def open_for_line(path: Path) -> Bundle:
    """The bundle in this directory, verified, and not one whose INT8 graph its own gate refused or never saw.

    Raises:
        ModelError: as `open_bundle`.
        GateError: it runs in INT8, and its manifest does not say that the gate let it.
    """
    bundle = open_bundle(path)
    gate = bundle.manifest.gate
    if bundle.precision is Precision.INT8 and gate.outcome not in {"passed", "not proven"}:
        raise GateError(
            f"bundle {bundle.path} runs in INT8, and its manifest says of the gate: {gate.outcome} ({gate.reason}): "
            "take it through the gate again (cloud quantize)"
        )
    return bundle


def manifest_entries(path: Path) -> dict[str, FileEntry]:
    """What a bundle's manifest says of its files, unverified. Raises ModelError, OSError."""
    return dict(_parse(Manifest, _read_manifest(path), path / MANIFEST).files)


def file_entries(path: Path) -> dict[str, FileEntry]:
    """Size and sha256 of every file below a directory, by its name with forward slashes; no manifest among them."""
    return {name: _entry(path / name) for name in _file_names(path) if name != MANIFEST}


def write_bundle(source: Path, target: Path, manifest: Manifest) -> Bundle:
    """Put a filled directory and its manifest in place as `target`, whole and on disk, or not at all.

    Args:
        source: holds every file that `manifest.files` names; emptied by a rename on the same file system, else copied.
        target: must not exist; its parent is made.
        manifest: `files` as `file_entries(source)` gives.

    Raises:
        ModelError: the target exists, or what was written does not verify.
    """
    if target.exists():
        raise ModelError(f"bundle: {target} exists, and a bundle never changes: take the next version")
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent, WRITING) as staging:
        shutil.copytree(source, staging, dirs_exist_ok=True)
        (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")
        staging.chmod(0o755)
        open_bundle(staging)
        sync_tree(staging)
        staging.rename(target)
    sync_directory(target.parent)
    return open_bundle(target)


def sync_tree(path: Path) -> None:
    """Make every file and name below a directory durable."""
    for root, _, files in os.walk(path, topdown=False):
        for name in files:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(root))


def _read_manifest(path: Path) -> bytes:
    file = path / MANIFEST
    if file.is_symlink() or not file.is_file():
        raise ModelError(f"bundle: {path} has no {MANIFEST}: not a bundle, or not whole; import or calibrate it again")
    if file.stat().st_size > _MANIFEST_MAX_BYTES:
        raise ModelError(
            f"bundle: {file} is larger than {_MANIFEST_MAX_BYTES} bytes: no manifest is; restore the bundle"
        )
    return file.read_bytes()


def _parse(kind: type[_Parsed], raw: bytes, file: Path) -> _Parsed:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as fault:
        _refuse_newer(raw, file)
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ModelError(f"bundle: {file}: {where}: {first['msg']}: restore the bundle or calibrate again") from fault


def _refuse_newer(raw: bytes, file: Path) -> None:
    """Raises ModelError where a manifest says of itself that a later version wrote it."""
    found = _SCHEMA.search(raw)
    known = Manifest.model_fields["schema_"].default
    if found is not None and found[1].decode() != known:
        raise ModelError(
            f"bundle: {file}: schema: found {found[1].decode()!r}, this version knows {known!r}: nothing was changed; "
            "install the newer inspectd again, or `edge bundle rollback`"
        )


def _check_names(path: Path, manifest: Manifest) -> None:
    found, named = set(_file_names(path)) - {MANIFEST}, set(manifest.files)
    if missing := sorted(named - found):
        raise ModelError(f"bundle: {path} lacks {missing[0]} (and {len(missing) - 1} more): restore the bundle")
    if extra := sorted(found - named):
        raise ModelError(f"bundle: {path} holds {extra[0]}, which its manifest does not name: remove or restore it")
    if lacking := {"model.xml", "model.bin"} - named:
        raise ModelError(f"bundle: {path} names no {min(lacking)}: not a bundle this version can run")
    _check_reference(path, manifest)


def _check_reference(path: Path, manifest: Manifest) -> None:
    """Anomaly models alone are given frames laid on a reference, and those only with it."""
    named, aligned = manifest.alignment and manifest.alignment.reference, manifest.kind is Kind.ANOMALY
    if named is not None and (not aligned or named not in manifest.files):
        raise ModelError(f"bundle: {path} lays frames on {named}, which it does not hold: calibrate again")
    if aligned and manifest.alignment is not None and (named is None or manifest.tiling is not None):
        raise ModelError(f"bundle: {path} lays frames on a reference, and names none or cuts tiles: calibrate again")


def _file_names(path: Path) -> list[str]:
    names = []
    for root, folders, files in os.walk(path):
        for name in (*folders, *files):
            if (Path(root) / name).is_symlink():
                raise ModelError(f"bundle: {Path(root) / name} is a symlink, and a bundle holds plain files only")
        for name in files:
            if not (Path(root) / name).is_file():  # a pipe would be waited for, a device read for ever
                raise ModelError(f"bundle: {Path(root) / name} is no plain file, and a bundle holds nothing else")
        names += [(Path(root) / name).relative_to(path).as_posix() for name in files]
    return names


def _check_file(path: Path, name: str, expected: FileEntry) -> None:
    file = path / name
    if (size_bytes := file.stat().st_size) != expected.size_bytes:  # before it is read: it may be endless
        raise ModelError(f"bundle: {file} has {size_bytes} bytes, expected {expected.size_bytes}: restore the bundle")
    got = _entry(file)
    if got.sha256 != expected.sha256:
        raise ModelError(
            f"bundle: {file} has sha256 {got.sha256}, expected {expected.sha256}: it was damaged; restore or roll back"
        )


def _entry(file: Path) -> FileEntry:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return FileEntry(sha256=digest, size_bytes=file.stat().st_size)


def _spec(manifest: Manifest) -> ModelSpec:
    inputs = tuple(entry.spec for entry in manifest.inputs)
    cut, keeps = manifest.tiling, manifest.alignment
    tiling = None if cut is None else Tiling(cut.tile_px, cut.overlap_px)
    alignment = None if keeps is None else Alignment(keeps.max_shift_px, keeps.min_correlation)
    return ModelSpec(manifest.kind, tuple(manifest.classes), inputs, tiling, alignment)


def _selftest(path: Path, manifest: Manifest) -> tuple[SelftestCase, ...]:
    if SELFTEST not in manifest.files:
        raise ModelError(f"bundle: {path} names no {SELFTEST}: without a self-test no model goes live")
    listed = _parse(SelftestFile, (path / SELFTEST).read_bytes(), path / SELFTEST)
    for case in listed.cases:
        for name in (case.frame, case.reference):
            if name is not None and f"selftest/{name}" not in manifest.files:
                raise ModelError(f"bundle: {path / SELFTEST} asks for {name}, which the bundle does not hold")
    return tuple(_case(path / "selftest", entry) for entry in listed.cases)


def _case(folder: Path, entry: SelftestEntry) -> SelftestCase:
    reference = None if entry.reference is None else folder / entry.reference
    findings = None if entry.findings is None else tuple(entry.findings)
    return SelftestCase(
        folder / entry.frame, entry.score, entry.tolerance, reference, findings, tuple(entry.scores or ())
    )
