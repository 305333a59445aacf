"""The splits that training, evaluation and quantization share: the same words give the same three sets to each."""

from dataclasses import dataclass

from models.dataset.errors import DatasetError
from models.dataset.records import Dataset
from models.dataset.splits import SHARES, Splits, split_dataset

_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Division:
    """How a dataset is divided.

    Args:
        by: what belongs together, see `split_dataset`.
        seed: of the order in which groups are dealt; a training's own seed too.
        test_share: of the images, to judge by; to choose thresholds by, about half as many are taken.
    """

    by: str = "auto"
    seed: int = 0
    test_share: float = SHARES["test"]

    @property
    def shares(self) -> dict[str, float]:
        """Of all three splits.

        Raises:
            DatasetError: too much or nothing would be held out.
        """
        if not 0 < self.test_share <= _MOST:
            raise DatasetError(
                f"split: a test share of {self.test_share} leaves nothing to judge by or little to learn from: choose "
                f"one between 0 and {_MOST}"
            )
        val = self.test_share * SHARES["val"] / SHARES["test"]
        return {"train": 1 - self.test_share - val, "val": val, "test": self.test_share}


def split_learnable(dataset: Dataset, division: Division) -> Splits:
    """`split_dataset` of the images that a detector can learn from and be judged by.

    Left out are defective images on which no place is labelled: a detector would learn them as good.

    Raises:
        DatasetError: as `split_dataset`.
    """
    placed = [index for index, image in enumerate(dataset.images) if len(image.truth) or not image.defective]
    return split_dataset(dataset.take(placed), division.by, division.seed, division.shares)
