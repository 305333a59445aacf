"""What a data set made of the store holds: the same words in its manifest, in code and in a proof's report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cloud_sync.hub.labels.errors import LabelError

MANIFEST = "dataset.json"
SCHEMA = "inspectd/dataset/1"


@dataclass(frozen=True, slots=True)
class Holdout:
    """What is held out and judged by.

    Args:
        good: good images.
        defective: defective images by class.
        audit_good: of the good ones, how many a random audit of passed parts chose: only they speak for overkill
            as the line sees it; the others were kept because a model found them difficult.
        audit_defective: of the defective ones likewise: only they speak for escapes as the line sees them.
        audit: the file names of both, relative to the folder.
        added: images that this run took into it; they stay for ever.
    """

    good: int
    defective: Mapping[str, int]
    audit_good: int
    audit_defective: int
    audit: tuple[str, ...]
    added: int


@dataclass(frozen=True, slots=True)
class DatasetMade:
    """A folder that `models.dataset.reading.read_dataset` reads; divide it by `declared`, and by nothing else.

    Args:
        folder: where it lies.
        digest: of its files, labels and splits; the same store gives the same.
        images: in all three splits.
        labels_seq: the newest label that it knew; what comes after is new to whoever learns from it.
        holdout: the test split.
        counts: images by split (train, val, test) and class; `good` is one.
        left_out: labelled images that are in no split, by reason.
        lacking: what a training or a proof still lacks, in words; empty: nothing.
        unjudged: classes that are learned and of which the hold-out has no image yet.
    """

    folder: Path
    digest: str
    images: int
    labels_seq: int
    holdout: Holdout
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    lacking: tuple[str, ...]
    unjudged: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """For a manifest, a report or a person."""
        return asdict(self) | {"folder": str(self.folder)}


def read_made(folder: Path) -> DatasetMade:
    """What was made in this folder. Raises LabelError where it is none of ours."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise LabelError(f"{folder} holds a data set of {content['schema']!r}, this program reads {SCHEMA!r}")
        made = content["made"]
        held = made["holdout"] | {"audit": tuple(made["holdout"]["audit"])}
        words = {"folder": folder, "holdout": Holdout(**held), "lacking": tuple(made["lacking"])}
        words["unjudged"] = tuple(made["unjudged"])
        return DatasetMade(**(made | words))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{folder} is no data set of ours ({error}): remove it and make it again") from error
