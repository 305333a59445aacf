"""What makes steps fast changes nothing in what they compute, and does what it says."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from models.networks.depthwise import Depthwise

SHAPES = [(8, 9, 3, 2), (8, 10, 5, 2), (16, 7, 5, 1), (8, 8, 3, 1), (8, 12, 3, 2), (8, 11, 5, 2)]


def gradients(layer: Depthwise, pixels: Tensor, *, bf16: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Answer, input's and kernel's gradient; the answer's gradient is the same ramp in any case."""
    pixels = pixels.clone().requires_grad_()
    layer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        answer = layer(pixels)
    answer.backward(torch.linspace(-1, 1, answer.numel()).reshape(answer.shape).to(answer.dtype))
    assert pixels.grad is not None
    assert layer.weight.grad is not None
    return answer.detach().float(), pixels.grad, layer.weight.grad.clone()


@pytest.mark.parametrize(("channels", "side", "kernel", "stride"), SHAPES)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_bf16_gradients_are_those_of_fp32(
    channels: int, side: int, kernel: int, stride: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = Depthwise(channels, kernel, stride)
    pixels = torch.randn(2, channels, side, side + 3).contiguous(memory_format=layout)
    exact, rounded = (gradients(layer, pixels, bf16=bf16) for bf16 in (False, True))
    for mine, theirs in zip(rounded, exact, strict=True):
        assert mine.shape == theirs.shape
        assert torch.allclose(mine, theirs, atol=0.02 * float(theirs.abs().max()))
        assert not torch.equal(mine, theirs)


def test_a_first_layer_needs_no_gradient_of_its_input() -> None:
    layer = Depthwise(4, 3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(1, 4, 8, 8)).sum().backward()
    assert layer.weight.grad is not None
    assert torch.isfinite(layer.weight.grad).all()


def test_without_bf16_it_is_torchs_own_layer() -> None:
    torch.manual_seed(0)
    layer = Depthwise(4, 5, 2)
    pixels = torch.randn(1, 4, 9, 9)
    plain = torch.nn.functional.conv2d(pixels, layer.weight, None, 2, 2, 1, 4)
    assert torch.equal(layer(pixels), plain)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(pixels).grad_fn is None


FAULTS = """
import resource, sys
import torch
from models.training.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit(77)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(12_000_000)
before = faults()
for _ in range(20):
    torch.ones(12_000_000)
print(faults() - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc: freed memory is its own affair")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_kept_memory_is_not_asked_for_again() -> None:
    assert page_faults("kept") * 2 < page_faults("default")
