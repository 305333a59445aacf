"""Graphs as OpenVINO compiled them, kept on disk so that a start need not compile them again.

- An entry answers for one graph, configuration, CPU and OpenVINO version: its name is the digest of all of these.
- An entry is read whole, and its size and sha256 are checked, before OpenVINO sees a byte: OpenVINO checks nothing.
- What cannot be read, does not verify or is not taken is compiled anew and replaced: never an error, never a guess.
- An entry is kept only after it was imported again and answered exactly as the graph that it came from.
- Writing is atomic: an entry appears whole, on disk, or not at all.

The digest tells damage, not malice: whoever can write here can write the station's database too.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import openvino as ov

from models.bundle import MANIFEST, Bundle
from models.bundle_store import list_bundles
from models.compile import Config, compile_configured, import_compiled
from models.cpus import cpu_identity
from models.durable import sync_directory
from models.errors import ModelError

_FORMAT = "inspectd.compiled.v1"
_SUFFIX = ".compiled"
_WRITING = ".writing"
_GRAPH_FILES = ("model.xml", "model.bin")
_HEADER_MAX_BYTES = 256
_PER_GRAPH = 4
_LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A graph ready to run, and where it came from.

    Args:
        model: to run.
        cached: it was stored by an earlier start, and nothing was compiled.
        note: why it was compiled anew, or could not be kept; empty where there is nothing to say.
    """

    model: ov.CompiledModel
    cached: bool
    note: str = ""


class CompiledStore:
    """Compiled graphs in a folder of the station's.

    Args:
        folder: made when the first is kept.
        in_use: digests (`graph_digest`) of all graphs that may run here again; others go when one is kept.
        limit_bytes: all of them together; the longest unused go first.
    """

    def __init__(self, folder: Path, in_use: Callable[[], Collection[str]], *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._folder = folder
        self._in_use = in_use
        self._limit_bytes = limit_bytes

    def load(self, bundle: Bundle, config: Config) -> Compiled:
        """The bundle's graph: stored if it is and can be trusted, else compiled and stored.

        Args:
            bundle: opened, so every hash is verified.
            config: from `models.compile.cpu_config`.

        Raises:
            ModelError: OpenVINO refuses the graph itself.
        """
        path, why = self._path(bundle, config), ""
        if path.exists():
            try:
                model = import_compiled(_verified(path), config)
            except (OSError, ModelError) as fault:
                why = f"{path.name}: {fault}"
            else:
                _touch(path)
                return Compiled(model, cached=True)
        model = compile_configured(bundle.model_xml, config)
        trouble = self._keep(path, model, config)
        return Compiled(model, cached=False, note="; ".join(filter(None, (why, trouble))))

    def holds(self, bundle: Bundle, config: Config) -> bool:
        """Whether the bundle's graph is stored; not whether it can be trusted."""
        return self._path(bundle, config).exists()

    def forget(self, bundle: Bundle, config: Config) -> None:
        """Drop the bundle's entry; none, or one that cannot be dropped, is no error."""
        _remove(self._path(bundle, config))

    def _path(self, bundle: Bundle, config: Config) -> Path:
        graph = graph_digest(bundle)
        named = [_FORMAT, graph, ov.get_version(), cpu_identity(), sorted((k, str(v)) for k, v in config.items())]
        key = hashlib.sha256(json.dumps(named).encode()).hexdigest()
        return self._folder / f"{graph}.{key[:32]}{_SUFFIX}"

    def _keep(self, path: Path, model: ov.CompiledModel, config: Config) -> str:
        """Store an entry and make room; returns why that could not be done."""
        try:
            blob = _exported(model)
            if not _same_answer(model, import_compiled(blob, config)):
                return "not kept: imported again it answers otherwise"
            _write(path, blob)
            self._make_room(path)
        except (OSError, RuntimeError, ModelError) as fault:
            return f"not kept: {fault}"
        return ""

    def _make_room(self, newest: Path) -> None:
        """Of graphs that no bundle uses none stays, of the others the few used last, as far as the limit goes."""
        known, left_bytes, seen = {*self._in_use(), _graph_of(newest)}, self._limit_bytes, dict[str, int]()
        for path in sorted(self._folder.glob(f"*{_SUFFIX}"), key=_used_s, reverse=True):
            graph, size_bytes = _graph_of(path), path.stat().st_size
            seen[graph] = seen.get(graph, 0) + 1
            if graph in known and seen[graph] <= _PER_GRAPH and size_bytes <= left_bytes:
                left_bytes -= size_bytes
            else:
                _remove(path)


def graph_digest(bundle: Bundle) -> str:
    """Names a bundle's graph and weights: 32 hex digits of a digest over both files' sha256."""
    return _digest(*(bundle.manifest.files[name].sha256 for name in _GRAPH_FILES))


def graphs_in_use(bundles_root: Path) -> frozenset[str]:
    """The graphs of every active bundle of a store and of every previous one; they are not verified here.

    Raises:
        OSError, ModelError: the store cannot be read.
    """
    return frozenset(_named(one.path / MANIFEST) for one in list_bundles(bundles_root) if one.active or one.previous)


def _named(manifest: Path) -> str:
    try:
        files = json.loads(manifest.read_bytes())["files"]
        return _digest(*(str(files[name]["sha256"]) for name in _GRAPH_FILES))
    except (ValueError, LookupError, TypeError) as fault:
        raise ModelError(f"bundle: {manifest} cannot be read ({fault}): restore the bundle") from fault


def _digest(*sha256s: str) -> str:
    return hashlib.sha256(" ".join(sha256s).encode()).hexdigest()[:32]


def _verified(path: Path) -> bytes:
    """An entry's compiled graph. Raises ModelError: it is not what was written."""
    with path.open("rb") as file:
        header = file.readline(_HEADER_MAX_BYTES)
        blob = file.read()
    if header != _header(path, blob):
        raise ModelError(f"damaged: {len(blob)} bytes that are not those that were written")
    return blob


def _header(path: Path, blob: bytes) -> bytes:
    return f"{_FORMAT} {path.stem} {len(blob)} {hashlib.sha256(blob).hexdigest()}\n".encode()


def _write(path: Path, blob: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{_WRITING}*"):
        _remove(left)
    temporary = path.with_name(f"{_WRITING}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(_header(path, blob))
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        _remove(temporary)
    sync_directory(path.parent)


def _exported(model: ov.CompiledModel) -> bytes:
    stream = BytesIO()
    model.export_model(stream)
    return stream.getvalue()


def _same_answer(one: ov.CompiledModel, other: ov.CompiledModel) -> bool:
    """Both give the same bits for the same noise."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, tuple(port.shape), np.uint8) for port in one.inputs]
    ours, theirs = (list(model(noise).values()) for model in (one, other))
    return len(ours) == len(theirs) and all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


def _graph_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _used_s(path: Path) -> float:
    return path.stat().st_mtime


def _touch(path: Path) -> None:
    """Note that it was used; a folder that cannot be written is no reason not to run."""
    try:
        os.utime(path)
    except OSError:
        return


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
