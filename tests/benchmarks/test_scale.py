"""How far a measured scale is from the true one, beside what it says of itself: noise, blur, tilt, a lens."""

import sys

import numpy as np
import pytest
from scale_kit import CODE_MM, SQUARE_MM, Picture, bent, board, code, taken

from edge.calibrate.scale.measuring import Scale, from_board, from_code
from edge.domain.errors import ConfigError

MM_PER_PX = (0.07, 0.1, 0.13)
TURNS = 4
CASES = [
    pytest.param({}, 0.0, id="soft, a little noise"),
    pytest.param({"noise": 10, "blur_px": 1.5}, 0.0, id="blurred, much noise"),
    pytest.param({"oblique": 0.03}, 0.0, id="3 % oblique"),
    pytest.param({"oblique": 0.08}, 0.0, id="8 % oblique"),
    pytest.param({}, 0.03, id="a lens that bends"),
]
pytestmark = pytest.mark.benchmark


def measured(kind: str, image: Picture) -> Scale | None:
    try:
        return from_board(image, (9, 6), SQUARE_MM) if kind == "board" else from_code(image, CODE_MM)
    except ConfigError:
        return None


@pytest.mark.parametrize("kind", ["board", "code"])
@pytest.mark.parametrize(("how", "lens"), CASES)
def test_the_error_lies_within_what_the_scale_says(
    kind: str, how: dict[str, float], lens: float, request: pytest.FixtureRequest
) -> None:
    paper, errors, told, refused = board() if kind == "board" else code(), [], [], 0
    random = np.random.default_rng(0)
    for mm_per_px in MM_PER_PX[1:] if kind == "board" else MM_PER_PX:
        for seed in range(TURNS):
            image = taken(paper, mm_per_px, random.uniform(-40, 40), seed=seed, **how)
            scale = measured(kind, bent(image, lens) if lens else image)
            refused += scale is None
            if scale is not None:
                errors.append(abs(scale.mm_per_px / mm_per_px - 1))
                told.append(scale.uncertainty_mm_per_px / scale.mm_per_px)
    inside = sum(error <= one for error, one in zip(errors, told, strict=True))
    sys.stdout.write(
        f"\n{request.node.callspec.id}: error median {np.median(errors):.3%}, most {max(errors, default=0):.3%}; told "
        f"{min(told, default=0):.3%} to {max(told, default=0):.3%}; within {inside} of {len(errors)}, refused {refused}"
    )
    assert inside >= 0.9 * len(errors)
