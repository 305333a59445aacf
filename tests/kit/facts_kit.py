"""All that the store knows of a product's labels and drift, put together from what triggers and pages ask for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.facts import DriftAlarm, drift_alarms, images_by_class, labels_seq, never_trained
from cloud_sync.hub.labels.truths import UNSURE
from cloud_sync.hub.store.label_tables import drift_signs, samples


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What people said of one product's samples. Counts are of images, each by its newest label.

    Args:
        product: its id.
        labels_seq: the newest label of all; a run that learns from this store notes it.
        new: by class, `good` among them: images whose newest label came after the run that was asked about.
        total: by class, `good` among them: all images that are labelled.
        never_trained: classes, in order, that images are labelled with and that the model was not taught.
        unsure: labelled by people who could not say.
        conflicts: two people say different things.
        unlabelled: nobody said anything yet; an image without a file here counts too.
    """

    product: str
    labels_seq: int
    new: Mapping[str, int]
    total: Mapping[str, int]
    never_trained: tuple[str, ...]
    unsure: int
    conflicts: int
    unlabelled: int

    @property
    def new_images(self) -> int:
        """Images newly labelled that can be learned from; one with boxes of two classes counts for each of them."""
        return sum(self.new.values())


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """How one product drifts now, at all stations: every alarm, and how many signs are watched."""

    product: str
    alarms: tuple[DriftAlarm, ...]
    watched: int


def label_facts(
    connection: sa.Connection, product: str, since_seq: int = 0, trained: Collection[str] = ()
) -> LabelFacts:
    """What was labelled since a run.

    Args:
        connection: to the store.
        product: which one.
        since_seq: `labels_seq` of the run; 0: since ever.
        trained: the classes that the model in use was taught.
    """
    total, new = images_by_class(connection, product), images_by_class(connection, product, since_seq)
    unsure, conflicts, unlabelled = _open(connection, product, total)
    total.pop(UNSURE, None)
    new.pop(UNSURE, None)
    never = never_trained(total, trained)
    return LabelFacts(product, labels_seq(connection), new, total, never, unsure, conflicts, unlabelled)


def drift_facts(connection: sa.Connection, product: str) -> DriftFacts:
    """What drifts now, of how many signs. Raises SQLAlchemyError."""
    mine = sa.select(sa.func.count()).select_from(drift_signs).where(drift_signs.c.product == product)
    return DriftFacts(product, drift_alarms(connection, product), connection.scalar(mine) or 0)


def _open(connection: sa.Connection, product: str, total: Mapping[str, int]) -> tuple[int, int, int]:
    """Images that people could not judge, that they judge differently, that nobody judged."""
    mine = samples.c.product == product
    count = sa.select(sa.func.count()).select_from(samples)
    conflicts = connection.scalar(count.where(mine, samples.c.conflict)) or 0
    unlabelled = connection.scalar(count.where(mine, samples.c.label.is_(None))) or 0
    return total.get(UNSURE, 0), conflicts, unlabelled
