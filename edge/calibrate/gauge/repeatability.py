"""Does a part get the same verdict each time? A gauge study for attributes, on made disturbances and on real repeats.

The same parts are looked at again and again, through the engine and the recipe that judge parts: as they are, with one
disturbance at a time in three steps, and as further looks might be, where everything changes a little. Where a camera
gave real repeats, those are a study of their own. A camera's picture checks are left out: they would make some of the
disturbed pictures UNDECIDED, and what the model makes of them is what is asked here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.calibrate.gauge.disturbances import STEPS, Disturber, Kind, Sizes, sizes_of
from edge.calibrate.gauge.study_looks import Agreement, Look, Looked, agree
from edge.calibrate.gauge.study_parts import Drawn, StudyPart, Truth, draw, mixed, read_part
from edge.decide.recipe import Recipe, decide
from edge.domain.part import Verdict
from edge.infer.engine import Engine
from models.errors import AlignmentError
from models.evaluate import Estimate, clopper_pearson
from models.letterbox import Image
from models.progress import Progress

_ANSWER_S = 30.0
_FURTHER_LOOKS = 3
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class StudyLimits:
    """How many parts at most, how long at most, and the share of parts that may flip before it is too much."""

    parts: int = 30
    seconds: float = 60.0
    flips: float = 0.1


@dataclass(frozen=True, slots=True)
class Flips:
    """How many parts got another verdict than undisturbed, at one step of one disturbance."""

    kind: Kind
    step: int
    size: str
    flipped: int
    share: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Repeatability:
    """The study.

    Args:
        made: repeats made from one picture of each part.
        real: repeats that a camera gave; None where none did.
        flips: by disturbance and step.
        sizes: of the disturbances.
        threshold: the lowest score that any rule counts.
        limits: what was allowed.
        offered: how many parts there were, of which some were drawn by chance.
        synthetic: the defects are painted, because no labelled defect was given.
        cut_short: the time ran out before every drawn part was looked at.
        seconds: how long it took.
    """

    made: Agreement
    real: Agreement | None
    flips: tuple[Flips, ...]
    sizes: Sizes
    threshold: float
    limits: StudyLimits
    offered: int
    synthetic: bool
    cut_short: bool
    seconds: float

    @property
    def worst(self) -> Kind | None:
        """The disturbance that flips most parts at its first step, or at a later one where none does there."""
        counts = {kind: tuple(each.flipped for each in self.flips if each.kind is kind) for kind in Kind}
        kind = max(counts, key=lambda kind: counts[kind])
        return kind if any(counts[kind]) else None

    def tolerable(self, kind: Kind) -> tuple[Flips | None, Flips | None]:
        """(the greatest step before too many parts flip, the first at which they do); None where there is none."""
        steps = [each for each in self.flips if each.kind is kind]
        first = next((n for n, each in enumerate(steps) if each.share.value > self.limits.flips), len(steps))
        return steps[first - 1] if first else None, steps[first] if first < len(steps) else None

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json` and the report's JSON."""
        return {
            "made": self.made.as_json(),
            "real": None if self.real is None else self.real.as_json(),
            "disturbances": [_flips_json(each) for each in self.flips],
            "sizes_from": self.sizes.origin,
            "worst": self.worst,
            "tolerable": {kind: _tolerable_json(*self.tolerable(kind)) for kind in Kind},
            "flips_allowed": self.limits.flips,
            "threshold": self.threshold,
            "parts_offered": self.offered,
            "synthetic_defects": self.synthetic,
            "cut_short": self.cut_short,
            "seconds": round(self.seconds, 2),
        }


def study(
    engine: Engine,
    recipe: Recipe,
    parts: Sequence[StudyPart],
    seed: int,
    progress: Progress,
    limits: StudyLimits = StudyLimits(),
) -> Repeatability:
    """Look at the same parts again and again.

    Args:
        engine: of any kind of bundle.
        recipe: that fits it.
        parts: good ones that taught the model nothing, and labelled defects if there are any.
        seed: same seed, same draw of parts, same disturbances.
        progress: told of each part.
        limits: parts, seconds, flips.

    Raises:
        RequestError: fewer than two parts, or no good one.
        ModelError: a picture cannot be read, or the model does not answer.
    """
    started_s, random = time.monotonic(), np.random.default_rng(seed)
    drawn, synthetic = draw(parts, limits.parts, random)
    sizes = sizes_of([read_part(part.images[0]) for part in drawn if part.truth is Truth.GOOD])
    gauge = _Gauge(engine, recipe, Disturber(sizes, seed))
    progress.stage("repeat", len(drawn))
    made: list[Looked] = []
    for part in mixed(drawn):
        if len(made) >= _FEWEST and time.monotonic() - started_s > limits.seconds:
            break
        made.append(gauge.disturbed(part))
        progress.advance()
    repeated = [part for part in parts if len(part.images) > 1][: limits.parts]
    real = [gauge.repeated(part) for part in repeated]
    threshold = min(rule.min_score for rule in recipe.rules.values())
    return Repeatability(
        made=agree(made, threshold, seed),
        real=agree(real, threshold, seed) if real else None,
        flips=_flips(made, sizes),
        sizes=sizes,
        threshold=threshold,
        limits=limits,
        offered=len(parts),
        synthetic=synthetic,
        cut_short=len(made) < len(drawn),
        seconds=time.monotonic() - started_s,
    )


class _Gauge:
    """Looks through one engine, one recipe."""

    def __init__(self, engine: Engine, recipe: Recipe, disturber: Disturber) -> None:
        self._engine = engine
        self._recipe = recipe
        self._disturber = disturber

    def disturbed(self, part: Drawn) -> Looked:
        image, disturber = part.image(), self._disturber
        steps = {(kind, step): self._look(disturber.disturb(image, kind, step)) for kind in Kind for step in STEPS}
        repeats = [self._look(image), *(steps[kind, STEPS[0]] for kind in Kind)]
        repeats += [self._look(disturber.again(image)) for _ in range(_FURTHER_LOOKS)]
        return Looked(part.name, part.truth, tuple(repeats), steps)

    def repeated(self, part: StudyPart) -> Looked:
        return Looked(part.name, part.truth, tuple(self._look(read_part(each)) for each in part.images), {})

    def _look(self, image: Image) -> Look:
        try:
            found = self._engine.submit(image, _ANSWER_S).result(_ANSWER_S)
        except AlignmentError:
            return Look(float("nan"), Verdict.UNDECIDED)
        return Look(found.frame_score, decide(found, self._engine.spec.classes, self._recipe)[0])


def _flips(parts: Sequence[Looked], sizes: Sizes) -> tuple[Flips, ...]:
    found = []
    for kind in Kind:
        for step in STEPS:
            flipped = sum(part.disturbed[kind, step].verdict is not part.repeats[0].verdict for part in parts)
            found.append(Flips(kind, step, sizes.size(kind, step), flipped, clopper_pearson(flipped, len(parts))))
    return tuple(found)


def _flips_json(flips: Flips) -> dict[str, object]:
    share = flips.share
    return {
        "kind": flips.kind,
        "size": flips.size,
        "flipped": flips.flipped,
        "share": round(share.value, 4),
        "low": round(share.low, 4),
        "high": round(share.high, 4),
    }


def _tolerable_json(last: Flips | None, first: Flips | None) -> dict[str, str | None]:
    return {"up_to": None if last is None else last.size, "too_much_from": None if first is None else first.size}
