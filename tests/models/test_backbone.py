from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from models.compile import compile_graph
from models.errors import ModelError
from models.networks.backbone import features, image_input
from models.networks.weights import Weights
from models.spec import Precision

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
LAST_BLOCKS = (0, 2, 4, 7, 10, 14, 15)


def torch_features(torch: Any, weights: Weights, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:  # noqa: ANN401
    """EfficientNet-Lite0 written a second time, in torch, with TensorFlow's padding and no folding."""
    functional = torch.nn.functional
    tensors = {name: torch.tensor(value) for name, value in weights.items()}

    def convolve(value: Any, name: str, norm: str, stride: int, groups: int = 1) -> Any:  # noqa: ANN401 - torch may be absent
        kernel = tensors[f"{name}.weight"]
        sides = []
        for size in (value.shape[3], value.shape[2]):
            total = max(0, (-(-size // stride) - 1) * stride + kernel.shape[-1] - size)
            sides += [total // 2, total - total // 2]
        result = functional.conv2d(functional.pad(value, sides), kernel, None, stride, 0, 1, groups)
        parts = [tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(result, *parts, training=False, eps=1e-3)

    rgb = (image[..., ::-1].astype(np.float32) - 127) / 128
    value = functional.relu6(convolve(torch.tensor(rgb.transpose(0, 3, 1, 2).copy()), "_conv_stem", "_bn0", 2))
    taken = []
    for block, stride in enumerate(STRIDES):
        prefix, start = f"_blocks.{block}.", value
        if f"{prefix}_expand_conv.weight" in tensors:
            value = functional.relu6(convolve(value, f"{prefix}_expand_conv", f"{prefix}_bn0", 1))
        depthwise = f"{prefix}_depthwise_conv"
        value = functional.relu6(convolve(value, depthwise, f"{prefix}_bn1", stride, value.shape[1]))
        value = convolve(value, f"{prefix}_project_conv", f"{prefix}_bn2", 1)
        value = value + start if stride == 1 and value.shape == start.shape else value
        if block in LAST_BLOCKS:
            taken.append(value.numpy())
    return taken


@pytest.mark.parametrize("side", [64, 97], ids=["even", "odd"])
def test_every_stage_equals_an_independent_torch_network(weights: Weights, side: int) -> None:
    torch = pytest.importorskip("torch", reason="torch (extra: train) is absent")
    image = np.random.default_rng(0).integers(0, 256, (1, side, side + 32, 3), np.uint8)
    parameter = image_input(side, side + 32)
    stages = features(weights, parameter, tuple(range(7)))
    model = ov.Model([ops.result(stage) for stage in stages], [parameter])
    compiled = compile_graph(model, Precision.FP32)
    with torch.no_grad():
        expected = torch_features(torch, weights, image)
    for got, wanted in zip(compiled(image).values(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "label"),
    [pytest.param("flower.jpg", 985, id="daisy"), pytest.param("china.jpg", 698, id="palace")],
)
def test_photos_are_seen_for_what_they_show(weights: Weights, name: str, label: int) -> None:
    """Wrong padding, scale, layout or strides would still give numbers, but not the right one of 1,000 classes."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn comes with extra calibrate")
    photo = datasets.load_sample_image(name)[:427, 107:534, ::-1]
    probabilities = _class_probabilities(weights, cv2.resize(photo, (224, 224), interpolation=cv2.INTER_AREA))
    assert int(probabilities.argmax()) == label


def _class_probabilities(weights: Weights, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    parameter = image_input(224, 224)
    (last,) = features(weights, parameter, (6,))
    compiled = compile_graph(ov.Model([ops.result(last)], [parameter]), Precision.FP32)
    value = compiled(np.ascontiguousarray(image)[None])[0][0].reshape(320, -1)
    scale = weights["_bn1.weight"] / np.sqrt(weights["_bn1.running_var"] + 1e-3)
    head = np.einsum("oc,cp->op", weights["_conv_head.weight"][:, :, 0, 0], value)
    head = np.clip(head * scale[:, None] + (weights["_bn1.bias"] - weights["_bn1.running_mean"] * scale)[:, None], 0, 6)
    logits = weights["_fc.weight"].astype(np.float64) @ head.mean(axis=1) + weights["_fc.bias"]
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.mark.parametrize("stages", [(), (7,), (-1, 2)], ids=["none", "too-late", "negative"])
def test_a_stage_that_does_not_exist_is_refused(weights: Weights, stages: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="stages"):
        features(weights, image_input(64, 64), stages)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite0"):
        features({}, image_input(64, 64), (4,))
