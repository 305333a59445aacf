"""How long torch takes eagerly, the yardstick of every speed figure."""

import time
from statistics import median

import torch
from torch import nn


def eager_ms(network: nn.Module, shape: tuple[int, int, int], seconds: float) -> float:
    """Median milliseconds of a network alone on noise (1, *shape), as torch runs it by default in FP32."""
    pixels, times = torch.rand(1, *shape), []
    until_s = time.monotonic() + seconds
    with torch.no_grad():
        network(pixels)
        while time.monotonic() < until_s or not times:
            started_s = time.perf_counter()
            network(pixels)
            times.append(time.perf_counter() - started_s)
    return median(times) * 1000
