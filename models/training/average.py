"""The average of the weights over the last few hundred steps: steadier than the last step's, and what is kept."""

import copy

import torch
from torch import nn

_DECAY = 0.998
_WARM_UP = 20


class Average:
    """Follows a network.

    Args:
        network: what to follow; its copy is in `network`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network: far in the first steps, little later."""
        weight = 1 - min(_DECAY, (1 + step) / (_WARM_UP + step))
        mine, theirs = self.network.state_dict(), network.state_dict()
        floats = [name for name, value in mine.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], weight)
        for name in mine.keys() - set(floats):
            mine[name].copy_(theirs[name])
