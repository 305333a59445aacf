"""How fast a detector is at 640 x 640: PyTorch eager FP32, OpenVINO FP32, BF16 and INT8, in one run on the same cores.

Weights are ImageNet's and chance's: what runs does not depend on them. Both stems are measured: with stride 2, as
EfficientNet-Lite is published, and with stride 4, as the trainer takes it for large frames.
"""

import sys

import numpy as np
import pytest
import torch
from eager_kit import eager_ms

from models.compile import compile_graph, cpu_capabilities
from models.cpus import granted_cpus
from models.export import export_detector
from models.networks.detector import Detector, DetectorShape
from models.networks.lite import load_imagenet
from models.networks.weights import read_weights
from models.quantize import DETECTOR_FLOAT, quantize
from models.spec import InputSpec, Precision
from models.speed import median_ms

pytestmark = pytest.mark.benchmark
SIDE = 640
SECONDS = 8.0


def detector(stem_stride: int, *, reference: bool) -> Detector:
    torch.manual_seed(0)
    network = Detector(DetectorShape(6, colour=False, reference=reference, stem_stride=stem_stride))
    load_imagenet(network.backbone, read_weights(), 1)
    return network.eval()


@pytest.mark.parametrize("reference", [pytest.param(True, id="reference"), pytest.param(False, id="alone")])
@pytest.mark.parametrize("stem_stride", [4, 2])
def test_precisions_side_by_side(stem_stride: int, reference: bool) -> None:  # noqa: FBT001 - a table's row
    torch.set_num_threads(granted_cpus())
    network = detector(stem_stride, reference=reference)
    graph = export_detector(network, network.shape, InputSpec("image", SIDE, SIDE), 0.3)
    rng = np.random.default_rng(0)
    names = ("image", "reference") if reference else ("image",)
    frames = [{name: rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) for name in names} for _ in range(4)]
    graphs = {Precision.FP32: graph, Precision.INT8: quantize(graph, frames, DETECTOR_FLOAT)}
    if "BF16" in cpu_capabilities():
        graphs[Precision.BF16] = graph
    compiled = {str(key): compile_graph(made, key, threads=granted_cpus()) for key, made in graphs.items()}
    shape = network.shape.in_channels, SIDE, SIDE
    eager = eager_ms(network, shape, SECONDS / 2)
    found = median_ms(compiled, SECONDS)
    eager = (eager + eager_ms(network, shape, SECONDS / 2)) / 2
    int8 = found["INT8"]
    sys.stdout.write(
        f"\nstem {stem_stride}, {'with reference' if reference else 'alone'}: INT8 {int8:.2f} ms = {1000 / int8:.0f} "
        f"images/s; PyTorch eager FP32 {eager / int8:.1f}x, "
        + ", ".join(f"OpenVINO {name} {value / int8:.2f}x" for name, value in found.items() if name != "INT8")
    )
    assert found["FP32"] / int8 > 1.5
    assert eager / int8 > 3
