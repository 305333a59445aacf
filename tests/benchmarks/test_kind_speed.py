"""How fast anomaly models and classifiers are: PyTorch eager FP32, OpenVINO FP32, BF16 and INT8, one run, same cores.

Torch runs the backbone alone; openvino runs whole bundles' graphs, light, distances, scores and maps included. Weights
are ImageNet's and chance's: what runs does not depend on them.
"""

import sys

import numpy as np
import openvino as ov
import pytest
import torch
from eager_kit import eager_ms

from models.classifier.probe import STAGES as PROBE_STAGES
from models.classifier.probe import probe_graph
from models.compile import compile_graph, cpu_capabilities
from models.cpus import granted_cpus
from models.networks.anomaly import STAGES as PART_STAGES
from models.networks.anomaly import PartStatistics, anomaly_graph, feature_graph
from models.networks.classes import POOLS, LinearHead
from models.networks.lite import LiteBackbone, load_imagenet
from models.networks.weights import read_weights
from models.quantize import ANOMALY_FLOAT, quantize
from models.spec import Fit, InputSpec, Precision
from models.speed import median_ms

pytestmark = pytest.mark.benchmark
SECONDS = 6.0
DIRECTIONS = 100


def anomaly(side: int) -> ov.Model:
    backbone = feature_graph(read_weights(), InputSpec("image", side, side, fit=Fit.STRETCH))
    shape = tuple(backbone.output("features").shape)
    size, random = DIRECTIONS + 2, np.random.default_rng(0)
    projection = random.normal(size=(DIRECTIONS, shape[1])).astype(np.float32)
    whitening = random.normal(size=(shape[2] // 2, shape[3] // 2, size, size)).astype(np.float32)
    light = np.array([[100, 3], [20, 1]], np.float32)
    return anomaly_graph(backbone, PartStatistics(np.zeros(shape, np.float32), projection, light, whitening), 2.0)


def classifier(side: int) -> ov.Model:
    count = len(POOLS) * sum(LiteBackbone(3, PROBE_STAGES, 2).channels)
    weights = np.random.default_rng(0).normal(0, 0.01, (1, count)).astype(np.float32)
    head = LinearHead(weights, np.zeros(1, np.float32), np.zeros(count, np.float32))
    return probe_graph(read_weights(), InputSpec("image", side, side), head)


@pytest.mark.parametrize(
    ("make", "stages", "side"),
    [
        pytest.param(anomaly, PART_STAGES, 256, id="anomaly 256"),
        pytest.param(classifier, PROBE_STAGES, 320, id="classifier 320"),
    ],
)
def test_precisions_side_by_side(make: object, stages: tuple[int, ...], side: int) -> None:
    torch.set_num_threads(granted_cpus())
    network = LiteBackbone(3, stages, 2)
    load_imagenet(network, read_weights(), 3)
    network.eval()
    graph = make(side)  # type: ignore[operator]
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (side, side, 3), np.uint8) for _ in range(4)]
    graphs = {Precision.FP32: graph, Precision.INT8: quantize(graph, frames, ANOMALY_FLOAT)}
    if "BF16" in cpu_capabilities():
        graphs[Precision.BF16] = graph
    compiled = {str(key): compile_graph(made, key, threads=granted_cpus()) for key, made in graphs.items()}
    eager = eager_ms(network, (3, side, side), SECONDS / 2)
    found = median_ms(compiled, SECONDS)
    eager = (eager + eager_ms(network, (3, side, side), SECONDS / 2)) / 2
    int8 = found["INT8"]
    sys.stdout.write(
        f"\n{graph.get_friendly_name()} {side}: INT8 {int8:.2f} ms = {1000 / int8:.0f} images/s; "
        f"PyTorch eager FP32 {eager / int8:.1f}x, "
        + ", ".join(f"OpenVINO {name} {value / int8:.2f}x" for name, value in found.items() if name != "INT8")
    )
    assert found["FP32"] / int8 > 1.1
    assert eager / int8 > 2
