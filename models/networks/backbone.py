"""EfficientNet-Lite0 as an openvino graph: ReLU6, no squeeze-excite, batch normalisation folded away.

The weights were converted from Google's TensorFlow release, so two things follow TensorFlow, not PyTorch: padding is
SAME (the odd pixel goes right and below), and pixels are normalised as (value - 127) / 128. Network and figures:
Tan and Le 2019, https://arxiv.org/abs/1905.11946, and the `efficientnet/lite` folder of tensorflow/tpu.
"""

from typing import NamedTuple

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from models.errors import ModelError
from models.networks.weights import Weights

PIXEL_MEAN = 127.0
PIXEL_STD = 128.0
_EPSILON = 1e-3
_SIX = 6.0
SCOPE = "backbone"


class _Stage(NamedTuple):
    blocks: int
    stride: int


_STAGES = (_Stage(1, 1), _Stage(2, 2), _Stage(2, 2), _Stage(3, 2), _Stage(3, 1), _Stage(4, 2), _Stage(1, 1))


def image_input(height: int, width: int, name: str = "image") -> ov.Node:
    """The graph's only input: (1, height, width, 3) uint8 BGR."""
    parameter = ops.parameter([1, height, width, 3], np.uint8, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


def features(weights: Weights, image: ov.Node, stages: tuple[int, ...]) -> list[ov.Node]:
    """The outputs of the asked stages (0 to 6), each (1, channels, h, w) float32.

    Stages 2, 4 and 5 have 40, 112 and 192 channels at 1/8, 1/16 and 1/32 of the input. Nothing behind the last asked
    stage is built. The channel order and the division by 128 are folded into the first convolution; the subtraction is
    not, because the zeros of the padding must mean "mean grey".

    Args:
        weights: EfficientNet-Lite0's tensors by name.
        image: (1, H, W, 3) uint8 BGR.
        stages: which stages to return, ascending.

    Raises:
        ModelError: a stage that does not exist, or a weight that is missing.
    """
    if not stages or min(stages) < 0 or max(stages) >= len(_STAGES):
        raise ModelError(f"backbone: stages must lie in 0 to {len(_STAGES) - 1}, got {list(stages)}")
    try:
        return _build(weights, image, stages)
    except KeyError as fault:
        raise ModelError(f"backbone: the weights lack {fault}: not the weights of EfficientNet-Lite0") from fault


def _build(weights: Weights, image: ov.Node, stages: tuple[int, ...]) -> list[ov.Node]:
    node, block, taken = _stem(weights, image), 0, []
    for index, stage in enumerate(_STAGES[: max(stages) + 1]):
        for repeat in range(stage.blocks):
            node = _block(weights, node, block, stage.stride if repeat == 0 else 1)
            block += 1
        if index in stages:
            taken.append(node)
    return taken


def _stem(weights: Weights, image: ov.Node) -> ov.Node:
    pixels = ops.transpose(ops.convert(image, np.float32), np.array([0, 3, 1, 2]))
    centred = ops.subtract(pixels, np.float32(PIXEL_MEAN))
    kernel, bias = _fold(weights, "_conv_stem", "_bn0")
    from_bgr = np.ascontiguousarray(kernel[:, ::-1]) / np.float32(PIXEL_STD)
    return _relu6(_convolve(centred, from_bgr, bias, 2, f"{SCOPE}/stem"))


def _block(weights: Weights, node: ov.Node, index: int, stride: int) -> ov.Node:
    """Expand 1x1, depthwise k x k, project 1x1; the input is added where shapes allow."""
    prefix, name, start = f"_blocks.{index}.", f"{SCOPE}/block{index}", node
    if f"{prefix}_expand_conv.weight" in weights:
        kernel, bias = _fold(weights, f"{prefix}_expand_conv", f"{prefix}_bn0")
        node = _relu6(_convolve(node, kernel, bias, 1, f"{name}/expand"))
    kernel, bias = _fold(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
    node = _relu6(_depthwise(node, kernel, bias, stride, f"{name}/depthwise"))
    kernel, bias = _fold(weights, f"{prefix}_project_conv", f"{prefix}_bn2")
    node = _convolve(node, kernel, bias, 1, f"{name}/project")
    same = stride == 1 and start.get_output_shape(0) == node.get_output_shape(0)
    return ops.add(node, start) if same else node


def _fold(weights: Weights, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A convolution's kernel and bias with its batch normalisation multiplied in."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float32(_EPSILON))
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return weights[f"{conv}.weight"] * scale[:, None, None, None], bias


def _convolve(node: ov.Node, kernel: NDArray[np.float32], bias: NDArray[np.float32], stride: int, name: str) -> ov.Node:
    strides, flat, ones = [stride, stride], [0, 0], [1, 1]
    result = ops.convolution(node, kernel, strides, flat, flat, ones, auto_pad="same_upper", name=name)
    return ops.add(result, bias.reshape(1, -1, 1, 1))


def _depthwise(
    node: ov.Node, kernel: NDArray[np.float32], bias: NDArray[np.float32], stride: int, name: str
) -> ov.Node:
    grouped = kernel[:, None]
    strides, flat, ones = [stride, stride], [0, 0], [1, 1]
    result = ops.group_convolution(node, grouped, strides, flat, flat, ones, auto_pad="same_upper", name=name)
    return ops.add(result, bias.reshape(1, -1, 1, 1))


def _relu6(node: ov.Node) -> ov.Node:
    return ops.clamp(node, 0.0, _SIX)
