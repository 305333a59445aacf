"""INT8 on real cells: what runs, how near it stays, and that damage is caught."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from models.compile import compile_graph
from models.errors import ModelError
from models.networks.anomaly import feature_graph
from models.networks.weights import Weights
from models.quantize import quantize
from models.scoring import model_input
from models.spec import InputSpec, Precision
from models.verify import cpu_has_vnni, is_int8, verify_graph

pytestmark = pytest.mark.long

SPEC = InputSpec("image", 128, 128)


@pytest.fixture(scope="module")
def frames(cells: list[tuple[Path, float]]) -> list[NDArray[np.uint8]]:
    return [model_input(path, SPEC) for path, probability in cells if probability == 0][:40]


@pytest.fixture(scope="module")
def fp32(weights: Weights) -> ov.Model:
    return feature_graph(weights, SPEC)


@pytest.fixture(scope="module")
def int8(fp32: ov.Model, frames: list[NDArray[np.uint8]]) -> ov.Model:
    return quantize(fp32, frames[:20])


def features(model: ov.Model, precision: Precision, frames: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    compiled = compile_graph(model, precision)
    return np.concatenate([compiled(frame[None])[0].copy() for frame in frames])


def test_int8_kernels_run_and_the_sensitive_layers_stay_in_float(int8: ov.Model) -> None:
    found = verify_graph(compile_graph(int8, Precision.INT8))
    assert (found.convolutions, found.int8) == (45, 32)
    assert found.int8_share == pytest.approx(32 / 45)
    assert sum(found.kernels.values()) == 45
    assert found.cpu_has_vnni is cpu_has_vnni()
    assert ("no VNNI" in found.note) is not found.cpu_has_vnni


def test_a_float_graph_runs_no_int8_kernel(fp32: ov.Model) -> None:
    assert verify_graph(compile_graph(fp32, Precision.FP32)).int8_share == 0


def test_fp32_means_fp32_where_the_cpu_would_rather_take_bf16(fp32: ov.Model) -> None:
    kernels = verify_graph(compile_graph(fp32, Precision.FP32)).kernels
    assert all("bf16" not in kernel for kernel in kernels)


def test_int8_features_stay_near_those_of_fp32(fp32: ov.Model, int8: ov.Model, frames: list[NDArray[np.uint8]]) -> None:
    unseen = frames[20:]
    before, after = features(fp32, Precision.FP32, unseen), features(int8, Precision.INT8, unseen)
    apart, changed = before - before.mean(axis=0), (after - after.mean(axis=0)) - (before - before.mean(axis=0))
    assert np.linalg.norm(changed) / np.linalg.norm(apart) < (0.15 if cpu_has_vnni() else 0.18)


def test_quantizing_leaves_the_float_graph_alone_and_stdout_empty(
    fp32: ov.Model, frames: list[NDArray[np.uint8]], capfd: pytest.CaptureFixture[str]
) -> None:
    """nncf draws bars on stdout, where `--json` must be alone."""
    before = features(fp32, Precision.FP32, frames[:2])
    quantize(fp32, frames[:2])
    assert capfd.readouterr().out == ""
    np.testing.assert_array_equal(features(fp32, Precision.FP32, frames[:2]), before)


def test_no_frames_no_quantization(fp32: ov.Model) -> None:
    with pytest.raises(ModelError, match="needs real frames"):
        quantize(fp32, [])


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        pytest.param("brgconv_avx512_core_vnni", True, id="vnni"),
        pytest.param("brgconv_avx512_1x1_I8", True, id="upper-case"),
        pytest.param("jit_uni_dw_u8", True, id="unsigned"),
        pytest.param("brgconv_avx512_1x1_f32", False, id="float"),
        pytest.param("brgconv_avx512_dw_bf16", False, id="bf16"),
        pytest.param("undef", False, id="undefined"),
    ],
)
def test_a_kernels_name_tells_its_arithmetic(kernel: str, *, expected: bool) -> None:
    assert is_int8(kernel) is expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : sse avx512_vnni", True), ("flags : avx_vnni", True), ("flags : avx512f", False)],
    ids=["avx512", "avx", "none"],
)
def test_vnni_is_read_from_the_cpus_flags(tmp_path: Path, flags: str, *, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(flags, encoding="utf-8")
    assert cpu_has_vnni(tmp_path / "cpuinfo") is expected
    assert cpu_has_vnni(tmp_path / "absent") is False
