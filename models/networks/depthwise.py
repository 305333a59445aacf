"""A depthwise convolution whose BF16 gradients take the fast ways of oneDNN.

As torch takes them, two are slow by a factor of ten to a hundred: the input's gradient under stride 2, and the kernel's
gradient at 5 x 5; together they took six tenths of a training step (figures: DECISIONS.md). So the input's gradient is
made with stride 1 of an output's gradient with zeros between its values, and large kernels get theirs in FP32. Without
BF16, without gradients and off the CPU it is torch's own layer.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGE = 5


class Depthwise(nn.Conv2d):
    """One kernel per channel, no bias.

    Args:
        channels: in and out.
        kernel: its side, odd.
        stride: 1 or 2; padding keeps the size up to it.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(B, channels, H, W) to (B, channels, ceil(H / stride), ceil(W / stride))."""
        if torch.is_grad_enabled() and input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            answer: Tensor = _Bf16.apply(input.bfloat16(), self.weight, self.stride[0])  # type: ignore[no-untyped-call]
            return answer
        return super().forward(input)


class _Bf16(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # noqa: ANN401 - torch's context
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(x, weight.bfloat16(), None, stride, weight.shape[2] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        of_input = _input_gradient(grad, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        return of_input, _kernel_gradient(grad, x, weight, ctx.stride), None


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """With stride 1, which oneDNN does fast, whatever the stride was."""
    if stride > 1:
        spread = torch.empty_like(x, memory_format=torch.channels_last).zero_()
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return _gradient(grad, x, weight.bfloat16(), 1, of_input=True)


def _kernel_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    if weight.shape[2] >= _LARGE:
        grad, x = (part.to(torch.float32, memory_format=torch.channels_last) for part in (grad, x))
        return _gradient(grad, x, weight, stride, of_input=False)
    return _gradient(grad, x, weight.bfloat16(), stride, of_input=False).float()


def _gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, *, of_input: bool) -> Tensor:
    """Torch's own gradient of one of the two."""
    pad = weight.shape[2] // 2
    mask = [of_input, not of_input, False]
    both: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], len(weight), mask
    )
    return both[0] if of_input else both[1]
