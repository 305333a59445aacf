"""The splits that training, evaluation and quantization share: the same words give the same three sets to each."""

from models.dataset.records import Dataset
from models.dataset.splits import Splits, split_dataset


def split_learnable(dataset: Dataset, by: str = "auto", seed: int = 0) -> Splits:
    """`split_dataset` of the images that a detector can learn from and be judged by.

    Left out are defective images on which no place is labelled: a detector would learn them as good.

    Raises:
        DatasetError: as `split_dataset`.
    """
    placed = [index for index, image in enumerate(dataset.images) if len(image.truth) or not image.defective]
    return split_dataset(dataset.take(placed), by, seed)
