"""What a reviewer says of the sample before them becomes a label; or a second look, where one was asked for."""

from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.agreement import same_said
from cloud_sync.hub.labels.classes import check_known, declare_classes, known_classes
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.labelling import NewLabel, Standing, add_labels, history, lock_labels
from cloud_sync.hub.labels.second_looks import SecondLook, ask_again, is_judged_twice, note_second, second_look_of
from cloud_sync.hub.labels.truths import LabelTruth
from cloud_sync.hub.store.label_tables import samples


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says.

    Args:
        sample: its id.
        truth: what it is.
        by: who says so.
        seen: the newest label that they had before them, 0 for none.
        new_class: a name in it that becomes a class of the product; "" where all are known.
    """

    sample: str
    truth: LabelTruth
    by: str
    seen: int
    new_class: str = ""


def say(connection: sa.Connection, said: Said, share: float, at_ms: int) -> int:
    """Write it; the number of the label that this person has seen from now on, for whoever undoes it.

    Args:
        connection: inside a transaction on the store.
        said: what is said.
        share: of the samples that are judged twice.
        at_ms: now, ms since 1970.

    Raises:
        LabelError: there is no such sample, or no such class.
        SQLAlchemyError: the database fails.
    """
    lock_labels(connection)
    product = connection.scalar(sa.select(samples.c.product).where(samples.c.id == said.sample))
    if product is None:
        raise LabelError(f"there is no sample {said.sample[:80]!r} any more")
    if said.new_class:
        declare_classes(connection, product, [said.new_class], said.by, at_ms)
    check_known(known_classes(connection, product), said.truth.names)
    before = history(connection, said.sample)
    second = second_look_of(connection, said.sample, said.by) if before else None
    if second is not None:
        _say_second(connection, said, second, before, at_ms)
        return second.first_seen
    add_labels(connection, [_label(said, said.seen, at_ms)], at_ms)
    if is_judged_twice(said.sample, share) and all(label.source != "review" or label.by == said.by for label in before):
        ask_again(connection, said.sample, product, (said.by, said.seen, said.truth), at_ms)
    return connection.scalar(sa.select(samples.c.label).where(samples.c.id == said.sample)) or 0


def _say_second(connection: sa.Connection, said: Said, second: SecondLook, before: list[Standing], at_ms: int) -> None:
    note_second(connection, said.sample, said.by, said.truth, at_ms)
    first = next((label for label in reversed(before) if label.by == second.first_by), None)
    mine = any(label.by == said.by for label in before)
    if first is None or mine or not same_said(first.truth, said.truth):
        truth = first.truth if first is not None and same_said(first.truth, said.truth) else said.truth
        add_labels(connection, [_label(said, second.first_seen, at_ms, truth)], at_ms)


def _label(said: Said, seen: int, at_ms: int, truth: LabelTruth | None = None) -> NewLabel:
    return NewLabel(said.sample, truth or said.truth, "review", said.by, at_ms, seen)
