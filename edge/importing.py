"""`edge bundle import`: a graph that others trained, or a bundle from elsewhere, becomes the next version of an id.

Read head and graph, try them on samples, write, and run the new bundle's self-test as a start would. What is refused
leaves the store as it was; what was imported is active only if that was asked for.
"""

import functools
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edge.domain.errors import ConfigError, StorageError
from models import bundle_store
from models.archive import SUFFIX, unpack
from models.bundle import MANIFEST, Bundle, open_for_line
from models.compile import compile_bundle
from models.errors import RequestError
from models.foreign.graph import read_graph
from models.foreign.head import read_head
from models.foreign.packing import REPORT, Import, pack_import
from models.foreign.trial import try_head
from models.manifest import BUNDLE_NAME
from models.progress import Progress
from models.scratch import UNPACKED, scratch_folder
from models.selftest import check_selftest

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and as what.

    Args:
        source: a model file, or a bundle: its folder, or the file that it travels in.
        bundles_root: the station's store.
        bundle_id: of the new version; empty takes a bundle's own.
        head: what a model file's outputs mean; None for a bundle.
        samples: folder of pictures to try a model file on; None for a bundle.
        activate: whether it shall run from the daemon's next start on.
    """

    source: Path
    bundles_root: Path
    bundle_id: str = ""
    head: Path | None = None
    samples: Path | None = None
    activate: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ImportResult:
    """What came of it; a copied bundle was not tried on samples."""

    bundle: Bundle
    warnings: tuple[str, ...]
    samples: int
    with_findings: int
    activated: bool

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        manifest, path = self.bundle.manifest, self.bundle.path
        return {
            "bundle": str(path),
            "model_id": asdict(self.bundle.model_id),
            "kind": manifest.kind,
            "classes": manifest.classes,
            "parent": manifest.parent,
            "report": str(path / REPORT) if REPORT in manifest.files else None,
            "samples": self.samples,
            "samples_with_findings": self.with_findings,
            "warnings": list(self.warnings),
            "activated": self.activated,
        }


def take_import(request: ImportRequest, progress: Progress) -> ImportResult:
    """Check, write, self-test, and activate if asked to.

    Raises:
        ConfigError: head and graph do not fit, an option is missing, or there are no samples.
        GateError: the samples speak against the head, or the graph is quantized and no gate let it.
        ModelError: a file cannot be read, a bundle does not verify, or OpenVINO refuses the graph.
        StorageError: the store cannot be written.
    """
    try:
        result = _taken(request, progress)
        if request.activate:
            model = result.bundle.model_id
            bundle_store.activate(request.bundles_root, model.id, model.version)
    except RequestError as fault:
        raise ConfigError(str(fault)) from fault
    except OSError as fault:
        raise StorageError(f"import: cannot write below {request.bundles_root}: {fault}") from fault
    return result


def _taken(request: ImportRequest, progress: Progress) -> ImportResult:
    if request.source.suffix == SUFFIX and request.source.is_file():
        return _unpacked(request)
    return _copied(request) if request.source.is_dir() else _imported(request, progress)


def _unpacked(request: ImportRequest) -> ImportResult:
    """A bundle in the file that it travels in, unpacked in the store's folder while it is taken."""
    request.bundles_root.mkdir(parents=True, exist_ok=True)
    with scratch_folder(request.bundles_root, UNPACKED) as folder:
        return _copied(replace(request, source=unpack(request.source, folder / "bundle").path))


def _copied(request: ImportRequest) -> ImportResult:
    """A bundle that was made elsewhere, as it is."""
    if not (request.source / MANIFEST).is_file():
        raise ConfigError(f"import: {request.source} is a folder without {MANIFEST}: name a bundle or a model file")
    if request.head is not None or request.samples is not None:
        raise ConfigError(f"import: {request.source} is a bundle: leave --head and --samples out, it needs neither")
    source = open_for_line(request.source)
    check_selftest(source, compile_bundle(source))
    named = request.bundle_id or source.model_id.id
    taken = bundle_store.copy_next(request.bundles_root, named, source, datetime.now(UTC))
    return ImportResult(taken, (), 0, 0, request.activate)


def _imported(request: ImportRequest, progress: Progress) -> ImportResult:
    """A graph that others trained, through its head."""
    if request.head is None or request.samples is None or not request.bundle_id:
        raise ConfigError("import: a model file needs --head (a TOML file), --samples (a folder) and --id")
    if not re.fullmatch(BUNDLE_NAME, request.bundle_id):
        raise ConfigError(f"import: --id is 1 to 64 of a-z 0-9 . _ -, got {request.bundle_id!r}")
    samples = _pictures(request.samples)
    progress.stage("read", 1)
    head = read_head(request.head)
    foreign = read_graph(request.source, head.input)
    progress.stage("try on samples", len(samples))
    tried = try_head(foreign, head, samples, progress.advance)
    progress.stage("write", 1)
    what = Import(request.bundle_id, foreign, head, request.head, tried, datetime.now(UTC))
    fill = functools.partial(pack_import, what)
    bundle = bundle_store.write_next(request.bundles_root, request.bundle_id, fill)
    progress.advance()
    check_selftest(bundle, compile_bundle(bundle))
    found = sum(one.frame_score >= _THRESHOLD for one in tried.found)
    return ImportResult(bundle, tried.warnings, len(samples), found, request.activate)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"import: --samples {folder} is no folder: name one with pictures of parts, good and bad")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.is_file())
    if not found:
        raise ConfigError(
            f"import: --samples {folder} holds no picture: name a folder with some, of good and bad parts"
        )
    return found
