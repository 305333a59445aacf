"""What stands before a foreign network: a station's picture, turned into what the network was trained to see."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from models.foreign.head import PixelInput
from models.networks.backbone import image_input
from models.spec import InputSpec

_CHANNELS_FIRST = np.array([0, 3, 1, 2])
_LAST_AXIS = np.array(3)
_GREY_OF_BGR = np.array([0.114, 0.587, 0.299], np.float32)  # ITU-R BT.601, as cv2.COLOR_BGR2GRAY


def picture_input(spec: InputSpec) -> ov.Node:
    """The bundle's one input, (1, H, W, 3) uint8 BGR."""
    return image_input(spec.height, spec.width, spec.name)


def network_input(image: ov.Node, pixels: PixelInput, kind: ov.Type) -> ov.Node:
    """The picture as the network takes it.

    Args:
        image: (1, H, W, 3) uint8 BGR.
        pixels: what the head declares.
        kind: the element type of the network's input.
    """
    coloured = _coloured(ops.convert(image, np.float32), pixels)
    scaled = ops.divide(ops.subtract(coloured, per_channel(pixels.mean)), per_channel(pixels.scale))
    laid = ops.transpose(scaled, _CHANNELS_FIRST) if pixels.layout == "NCHW" else scaled
    return laid if kind == ov.Type.f32 else ops.convert(laid, kind.get_type_name())


def per_channel(value: float | list[float]) -> NDArray[np.float32]:
    """One number, or one for each channel, as (channels,) float32."""
    return np.atleast_1d(np.asarray(value, np.float32))


def _coloured(image: ov.Node, pixels: PixelInput) -> ov.Node:
    if pixels.colour == "rgb":
        return ops.gather(image, np.array([2, 1, 0]), _LAST_AXIS)
    if pixels.colour == "grey":
        return ops.reduce_sum(ops.multiply(image, _GREY_OF_BGR), np.array([3]), keep_dims=True)
    return image
