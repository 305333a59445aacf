"""Held-out frames with their truth: what every candidate is judged by, the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from models.dataset.image_files import picture_sha256
from models.dataset.records import Dataset, Truth
from models.detecting import detect_images
from models.detections import Detections
from models.evaluation.precision import Rankings, rank
from models.spec import ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """N frames.

    Args:
        classes: names of the class ids.
        names: of the frames, for people.
        images: their files.
        references: their golden references, or None where the model compares with none.
        truths: what a person says is on them.
        defective: whether something is wrong with them.
        golden: which frames are golden references, shown to a model that compares with none as good frames of their
            own: they tell its overkill, and are no part of precision, which is published over a dataset's images.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[Path, ...]
    references: tuple[Path | None, ...] | None
    truths: tuple[Truth, ...]
    defective: tuple[bool, ...]
    golden: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def boxes(self) -> int:
        """How many could be missed."""
        return sum(len(truth) for truth in self.truths)

    @property
    def images_own(self) -> list[int]:
        """Indices of the frames that are no golden references."""
        return [index for index, golden in enumerate(self.golden or [False] * len(self)) if not golden]

    def rank(self, found: Sequence[Detections]) -> Rankings:
        """Precision of what a model said of all frames, over the dataset's own images."""
        own = self.images_own
        return rank([self.truths[index] for index in own], [found[index] for index in own])

    def sit(
        self,
        compiled: ov.CompiledModel,
        spec: ModelSpec,
        advance: Callable[[], None] | None = None,
        undecided: list[int] | None = None,
    ) -> list[Detections]:
        """What a compiled detector says of every frame. Raises ModelError as `detect_images` does.

        Nothing is found on a frame that its reference does not explain; its number is added to `undecided`.
        """
        misfits = [] if undecided is None else undecided
        return detect_images(
            compiled, self.images, spec, self.references, advance, lambda index, _: misfits.append(index)
        )

    def part(self, indices: list[int]) -> "Exam":
        """The same exam with these frames only."""
        references = None if self.references is None else tuple(self.references[index] for index in indices)
        return Exam(
            self.classes,
            tuple(self.names[index] for index in indices),
            tuple(self.images[index] for index in indices),
            references,
            tuple(self.truths[index] for index in indices),
            tuple(self.defective[index] for index in indices),
            tuple(self.golden[index] for index in indices) if self.golden else (),
        )


def exam_of(dataset: Dataset, *, compares: bool, learned: Dataset | None = None) -> Exam:
    """The exam that a dataset is; a golden reference that is also one of what was `learned` from is no part of it.

    A model that compares looks at each image beside its reference. For one that does not, the golden references are
    good frames of their own, and show its overkill.
    """
    images = list(dataset.images)
    names, paths = [image.name for image in images], [image.path for image in images]
    truths, defective = [image.truth for image in images], [bool(image.defective) for image in images]
    goldens = [] if compares else _unlearned(dataset, learned)
    return Exam(
        dataset.classes,
        (*names, *(f"{path.parent.name}/{path.name}" for path in goldens)),
        (*paths, *goldens),
        tuple(image.reference for image in images) if compares else None,
        (*truths, *(Truth.none() for _ in goldens)),
        (*defective, *(False for _ in goldens)),
        (*(False for _ in images), *(True for _ in goldens)),
    )


def _unlearned(dataset: Dataset, learned: Dataset | None) -> list[Path]:
    """Golden references, each once, without those that show what was learned from: one may serve all images."""
    goldens = sorted({image.reference for image in dataset.images if image.reference is not None})
    if learned is None or not goldens:
        return goldens
    files = {path for image in learned.images for path in (image.path, image.reference) if path is not None}
    seen = {picture_sha256(path) for path in files}
    return [path for path in goldens if picture_sha256(path) not in seen]
