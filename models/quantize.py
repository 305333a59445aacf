"""FP32 -> INT8 on real frames, and how to give back what that cost. The only user of nncf."""

import contextlib
import fcntl
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.errors import ModelError
from models.networks.anomaly import HEAD
from models.networks.backbone import SCOPE
from models.verify import cpu_has_vnni

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nncf
except ImportError as fault:  # pragma: no cover - the extra is installed wherever tests run
    raise ModelError("quantize: nncf is not installed: pip install 'inspectd[calibrate]'") from fault

logging.getLogger("nncf").setLevel(logging.ERROR)
ANOMALY_FLOAT = (
    f"^{HEAD}/.*",
    f"^{SCOPE}/stem",
    f"^{SCOPE}/block0/.*",
    f"^{SCOPE}/block([5-9]|1[0-4])/depthwise",
)
DETECTOR_FLOAT = (f"^{HEAD}/.*",)
Inputs = Mapping[str, NDArray[np.uint8]]
Network = TypeVar("Network")
# nncf compiles its rounding for torch at first use: on a machine that is busy with else, 60 seconds were too few.
_COMPILE_TIMEOUT_S = 900
_RANGES = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX


def quantize(
    model: ov.Model, frames: Sequence[NDArray[np.uint8] | Inputs], floating: Sequence[str] = ANOMALY_FLOAT
) -> ov.Model:
    """An INT8 copy of a graph by post-training quantization.

    Of an anomaly graph the head is left in float: a published one fell from .88 to .50 AUROC with its head in INT8. So
    are the stem and the first block, whose error all others inherit, and the depthwise convolutions of the small late
    maps: 13 of 45 convolutions, and scores that follow FP32's with correlation .998 instead of .984 for 0.36 ms of 3
    (DECISIONS has the table). A detector, which was trained on its task, loses nothing that way and is quantized whole.
    Weights per channel, activations per tensor over their full seen range, full bias correction.

    Args:
        model: FP32, inputs (1, H, W, 3) uint8.
        frames: real frames as the graph takes them, (H, W, 3) uint8, or one such per input by name; of no use to any
            later check.
        floating: patterns of operations that stay in float.

    Raises:
        ModelError: no frames, or nncf refuses the graph.
    """
    options = _options(frames, floating)
    quantized: ov.Model = _quietly(lambda: nncf.quantize(model.clone(), options.pop("data"), **options))
    return quantized


def quantize_with_accuracy(
    model: ov.Model,
    frames: Sequence[Inputs],
    measure: Callable[[ov.CompiledModel, Sequence[int]], tuple[float, list[float]]],
    count: int,
    budget: float,
) -> ov.Model:
    """An INT8 copy of a detector, with operations put back into float until the metric keeps its budget.

    Args:
        model: FP32, inputs (1, H, W, 3) uint8.
        frames: as for `quantize`.
        measure: given a compiled graph and indices of validation images, the metric and each image's own; images that
            the gate will not judge by.
        count: how many validation images there are.
        budget: how much the metric may drop.

    Raises:
        ModelError: no frames, or nncf refuses the graph.
    """
    options = _options(frames, DETECTOR_FLOAT)
    calibration = options.pop("data")
    advanced = options.pop("advanced_parameters")
    copy = model.clone()
    copy.set_rt_info("f32", ["runtime_options", "INFERENCE_PRECISION_HINT"])

    def validate(compiled: ov.CompiledModel, indices: Iterable[int]) -> tuple[float, list[float]]:
        return measure(compiled, list(indices))

    quantized: ov.Model = _quietly(
        lambda: nncf.quantize_with_accuracy_control(
            copy,
            calibration,
            nncf.Dataset(range(count)),
            validate,
            max_drop=budget,
            advanced_quantization_parameters=advanced,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                ranking_subset_size=count, num_ranking_workers=1
            ),
            **options,
        )
    )
    return quantized


def with_fake_quantization(network: Network, pixels: Iterable[object]) -> Network:
    """A torch network whose weights and activations are rounded as INT8 would, so that training learns to live with it.

    Args:
        network: a torch module.
        pixels: what it takes, a few dozen times; sets the first ranges.

    Raises:
        ModelError: nncf refuses the network.
    """
    samples = list(pixels)
    if not samples:
        raise ModelError("quantize: needs real frames to learn the ranges from, got none")
    compile_rounding()
    ranges = _advanced()
    preset = nncf.QuantizationPreset.PERFORMANCE
    wrapped: Network = _quietly(
        lambda: nncf.quantize(
            network, nncf.Dataset(samples), subset_size=len(samples), preset=preset, advanced_parameters=ranges
        )
    )
    return wrapped


def compile_rounding() -> None:
    """Let nncf compile its rounding for torch, which it does once on a machine.

    It waits for ever for the lock of a process that was killed meanwhile. Who holds our own lock knows that nobody
    compiles, and clears it away. Raises OSError.
    """
    from nncf.torch.quantization.extensions import QuantizedFunctionsCPU, QuantizedFunctionsCPULoader

    os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", str(_COMPILE_TIMEOUT_S))
    folder = Path(QuantizedFunctionsCPULoader.get_build_dir())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "inspectd.lock").open("w") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        (folder / "lock").unlink(missing_ok=True)
        QuantizedFunctionsCPU.get("Quantize_forward")


def _options(frames: Sequence[NDArray[np.uint8] | Inputs], floating: Sequence[str]) -> dict[str, Any]:
    if not frames:
        raise ModelError("quantize: needs real frames to learn the ranges from, got none")
    return {
        "data": nncf.Dataset([_batched(frame) for frame in frames]),
        "subset_size": len(frames),
        "preset": nncf.QuantizationPreset.PERFORMANCE,
        "ignored_scope": nncf.IgnoredScope(patterns=list(floating), validate=False),
        "fast_bias_correction": False,
        "advanced_parameters": _advanced(),
    }


def _advanced() -> Any:  # noqa: ANN401 - nncf types nothing
    """Full ranges of activations; weights of half the range where this CPU would let their sums overflow.

    Without VNNI, OpenVINO multiplies bytes into sums of 16 bits, which saturate: features of cells were .195 of their
    spread away from FP32's, and .152 with half-range weights (DECISIONS). With VNNI nncf's own default holds.
    """
    if cpu_has_vnni():
        return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=_RANGES)
    fix = nncf.quantization.advanced_parameters.OverflowFix.ENABLE
    return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=_RANGES, overflow_fix=fix)


def _batched(frame: NDArray[np.uint8] | Inputs) -> NDArray[np.uint8] | dict[str, NDArray[np.uint8]]:
    if isinstance(frame, Mapping):
        return {name: image[None] for name, image in frame.items()}
    return np.asarray(frame)[None]


def _quietly(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - nncf types nothing
    """Run nncf without its prints; its refusals as ours."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return work()
    except (RuntimeError, nncf.ValidationError) as fault:
        raise ModelError(f"quantize: nncf refuses the graph: {fault}") from fault
