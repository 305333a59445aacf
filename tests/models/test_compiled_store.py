import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from station_kit import GREY, SIDE, blob_graph, make_bundle

from models.bundle import Bundle
from models.bundle_store import activate
from models.compile import compile_configured, cpu_config, import_compiled
from models.compiled_store import CompiledStore, _verified, graph_digest, graphs_in_use
from models.cpus import cpu_identity, has_bf16
from models.errors import ModelError
from models.spec import Precision
from models.verify import verify_graph

CONFIG = cpu_config(Precision.FP32, threads=1)
FLIPS = 500


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def store(tmp_path: Path, bundle: Bundle) -> CompiledStore:
    return CompiledStore(tmp_path / "cache", lambda: {graph_digest(bundle)})


def frame(level: int = GREY) -> np.ndarray:
    random = np.random.default_rng(level)
    return random.integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.uint8)


def answers(model: ov.CompiledModel, image: np.ndarray | None = None) -> list[bytes]:
    given = frame() if image is None else image
    return [value.tobytes() for value in model(given).values()]


def entry(store_folder: Path) -> Path:
    (only,) = store_folder.iterdir()
    return only


def test_a_second_load_compiles_nothing_and_answers_alike(store: CompiledStore, bundle: Bundle) -> None:
    first, second = store.load(bundle, CONFIG), store.load(bundle, CONFIG)
    assert (first.cached, first.note, second.cached, second.note) == (False, "", True, "")
    assert answers(first.model) == answers(second.model)


def flipped(good: bytes, offset: int, random: np.random.Generator) -> bytes:
    damaged = bytearray(good)
    damaged[offset] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path, store: CompiledStore, bundle: Bundle) -> None:
    store.load(bundle, CONFIG)
    kept = entry(tmp_path / "cache")
    good, random = kept.read_bytes(), np.random.default_rng(6)
    for offset in [*range(good.index(b"\n") + 1), *random.integers(0, len(good), FLIPS).tolist(), len(good) - 1]:
        kept.write_bytes(flipped(good, offset, random))
        with pytest.raises(ModelError, match="damaged"):
            _verified(kept)
    kept.write_bytes(good)
    assert _verified(kept)


def test_a_damaged_entry_is_compiled_anew_replaced_and_changes_no_answer(
    tmp_path: Path, store: CompiledStore, bundle: Bundle
) -> None:
    expected = answers(store.load(bundle, CONFIG).model)
    kept = entry(tmp_path / "cache")
    good, random = kept.read_bytes(), np.random.default_rng(7)
    for offset in (0, 30, 120, *random.integers(200, len(good), 5).tolist()):
        kept.write_bytes(flipped(good, offset, random))
        loaded = store.load(bundle, CONFIG)
        assert not loaded.cached, offset
        assert "damaged" in loaded.note
        assert answers(loaded.model) == expected
        assert store.load(bundle, CONFIG).cached


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path, good: path.write_bytes(good[: len(good) // 2]), id="half of it"),
        pytest.param(lambda path, _good: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path, good: path.write_bytes(good + b"\0"), id="a byte more"),
        pytest.param(lambda path, good: path.write_bytes(good[good.index(b"\n") + 1 :]), id="no header"),
        pytest.param(lambda path, _good: (path.unlink(), path.mkdir()), id="a folder in its place"),
        pytest.param(lambda path, _good: (path.unlink(), path.symlink_to(path)), id="a link to itself"),
    ],
)
def test_an_entry_that_cannot_be_read_whole_is_no_fault(
    tmp_path: Path, store: CompiledStore, bundle: Bundle, damage: Callable[[Path, bytes], object]
) -> None:
    expected = answers(store.load(bundle, CONFIG).model)
    kept = entry(tmp_path / "cache")
    damage(kept, kept.read_bytes())
    loaded = store.load(bundle, CONFIG)
    assert not loaded.cached
    assert answers(loaded.model) == expected


def test_what_verifies_but_openvino_does_not_take_is_compiled_anew(
    tmp_path: Path, store: CompiledStore, bundle: Bundle
) -> None:
    expected = answers(store.load(bundle, CONFIG).model)
    kept = entry(tmp_path / "cache")
    junk = b"of another version" * 100
    head = kept.read_bytes().split(b" ", 2)[:2]
    kept.write_bytes(b" ".join([*head, f"{len(junk)} {hashlib.sha256(junk).hexdigest()}\n".encode()]) + junk)
    loaded = store.load(bundle, CONFIG)
    assert not loaded.cached
    assert "does not take" in loaded.note
    assert answers(loaded.model) == expected
    assert store.load(bundle, CONFIG).cached


def test_another_configuration_is_another_entry(store: CompiledStore, bundle: Bundle) -> None:
    store.load(bundle, CONFIG)
    for changed in ({"NUM_STREAMS": 2}, {"ENABLE_CPU_PINNING": True}, {"INFERENCE_NUM_THREADS": 2}):
        assert not store.load(bundle, CONFIG | changed).cached
    assert store.load(bundle, CONFIG).cached


def test_another_cpu_is_another_identity(tmp_path: Path) -> None:
    info = "processor : 0\nmodel name : A\nflags : b a\n\nprocessor : 1\nmodel name : A\nflags : b a\n"
    for name, text in {"a": info, "b": info.replace(" b", " b avx"), "c": info.replace("A", "B")}.items():
        (tmp_path / name).write_text(text)
    one, more_flags, other = (cpu_identity(tmp_path / name) for name in "abc")
    assert len({one, more_flags, other}) == 3
    assert one.endswith("A; ; ; ; a b")
    assert cpu_identity(tmp_path / "none")


def test_what_no_bundle_uses_goes_when_another_is_kept(tmp_path: Path) -> None:
    root, cache = tmp_path / "bundles", tmp_path / "cache"
    versions = [make_bundle(root, version=number, nan_above=200 + number) for number in (1, 2, 3)]
    store = CompiledStore(cache, lambda: graphs_in_use(root))
    for version in versions:
        activate(root, "blob", version.model_id.version)
        store.load(version, CONFIG)
    graphs = {path.name.partition(".")[0] for path in cache.iterdir()}
    assert graphs == {graph_digest(version) for version in versions[1:]}


def test_entries_of_one_graph_and_all_bytes_are_bounded(tmp_path: Path, bundle: Bundle) -> None:
    cache = tmp_path / "cache"
    store = CompiledStore(cache, lambda: {graph_digest(bundle)})
    for streams in range(1, 8):
        store.load(bundle, CONFIG | {"NUM_STREAMS": streams})
    assert len(list(cache.iterdir())) == 4
    assert store.load(bundle, CONFIG | {"NUM_STREAMS": 7}).cached
    tight = CompiledStore(cache, lambda: {graph_digest(bundle)}, limit_bytes=1)
    tight.load(bundle, CONFIG)
    assert list(cache.iterdir()) == []


def test_a_store_that_cannot_be_written_or_listed_still_runs_the_graph(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = CompiledStore(tmp_path / "file" / "cache", set)
    loaded = blocked.load(bundle, CONFIG)
    assert (loaded.cached, "not kept" in loaded.note) == (False, True)

    broken = tmp_path / "bundles"
    shutil.copytree(bundle.path.parent, broken / "blob", symlinks=True)
    (broken / "blob" / "v1" / "bundle.json").write_text("{")
    unlisted = CompiledStore(tmp_path / "cache", lambda: graphs_in_use(broken)).load(bundle, CONFIG)
    assert "cannot be read" in unlisted.note
    assert answers(loaded.model) == answers(unlisted.model)


WRITER = """
import sys
from pathlib import Path
from models.compiled_store import _write
folder = Path(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    _write(folder / "a.b.compiled", bytes([number % 256]) * (4 << 20))
"""


def test_a_kill_while_writing_leaves_no_half_entry(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        try:
            child.wait(float(random.uniform(0.03, 0.15)))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        child.stdout.close()
        for path in tmp_path.glob("*.compiled"):
            assert len(set(_verified(path))) == 1
    assert list(tmp_path.glob("*.compiled"))


def int8_graph() -> ov.Model:
    """A convolution between fake quantizations, which OpenVINO runs in eight bits where the CPU can."""
    random = np.random.default_rng(0)
    image = ops.parameter([1, SIDE, SIDE, 3], ov.Type.u8, name="image")
    planes = ops.transpose(ops.convert(image, "f32"), ops.constant([0, 3, 1, 2]))
    low, high, one = (np.float32(value) for value in (0, 255, 1))
    seen = ops.fake_quantize(planes, low, high, low, high, 256)
    weights = ops.fake_quantize(random.normal(size=(16, 3, 3, 3)).astype(np.float32), -one, one, -one, one, 255)
    found = ops.convolution(seen, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    again = ops.fake_quantize(ops.relu(found), low, np.float32(999), low, np.float32(999), 256)
    second = ops.fake_quantize(random.normal(size=(16, 16, 3, 3)).astype(np.float32), -one, one, -one, one, 255)
    last = ops.convolution(again, second, [1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([ops.result(ops.softmax(last, 1))], [image], "int8")


@pytest.mark.parametrize(
    ("graph", "precision"),
    [
        pytest.param(blob_graph, Precision.FP32, id="FP32"),
        pytest.param(int8_graph, Precision.INT8, id="INT8"),
        pytest.param(
            int8_graph,
            Precision.BF16,
            id="BF16",
            marks=pytest.mark.skipif(not has_bf16(), reason="this CPU has no BF16"),
        ),
    ],
)
def test_kernels_and_answers_are_the_same_exported_and_imported(
    graph: Callable[[], ov.Model], precision: Precision
) -> None:
    config = cpu_config(precision, threads=1)
    compiled, stream = compile_configured(graph(), config), BytesIO()
    compiled.export_model(stream)
    imported = import_compiled(stream.getvalue(), config)
    assert verify_graph(imported) == verify_graph(compiled)
    hint = "INFERENCE_PRECISION_HINT"
    assert imported.get_property(hint) == compiled.get_property(hint)
    for level in range(5):
        assert answers(imported, frame(level)) == answers(compiled, frame(level))
