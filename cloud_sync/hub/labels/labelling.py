"""Writes what people say. Nothing is ever changed or removed: a label only stands before or after another one.

- Labels are numbered in the order of their commits: whoever read up to a number misses none below it later.
- Who labels says what he had seen. What came in between he did not see, so it stays beside his: a conflict where the
  two say different things. The newest counts all the same, until somebody who saw both says more. Nobody is in
  conflict with himself: who says another thing later has changed his mind.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.samples import some_of
from cloud_sync.hub.labels.truths import LabelTruth, truth_of
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import label_counter, labels, samples

Source = Literal["review", "import", "feedback"]
BY_LENGTH = 128


@dataclass(frozen=True, slots=True)
class NewLabel:
    """What a person says of a sample.

    Args:
        sample: its id.
        truth: what is said.
        source: by which way.
        by: who.
        at_ms: when it was said, by that person's clock; ms since 1970.
        seen: the newest label of this sample that the person had seen, 0 for none; None: whatever stands now.
    """

    sample: str
    truth: LabelTruth
    source: Source
    by: str
    at_ms: int
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One label in the history of a sample."""

    seq: int
    truth: LabelTruth
    source: str
    by: str
    at_ms: int
    supersedes: int


@dataclass(slots=True)
class _State:
    """What is said of one sample, while labels are added."""

    product: str
    conflict: bool
    said: list[Standing]


def add_labels(connection: sa.Connection, new: Sequence[NewLabel], at_ms: int) -> int:
    """Write them in one go; how many said something new: what stands already is not said twice.

    Raises:
        LabelError: there is no such sample, or nobody said it.
        SQLAlchemyError: the database fails.
    """
    seq = first = lock_labels(connection)
    for some in some_of(new):
        found = _states(connection, {label.sample for label in some})
        rows = []
        for label in some:
            row = _row(found, label, seq + 1, at_ms)
            if row is not None:
                rows.append(row)
                seq += 1
        _write(connection, rows, found)
    connection.execute(sa.update(label_counter).values(value=seq))
    return seq - first


def lock_labels(connection: sa.Connection) -> int:
    """Until the transaction ends nobody else labels; the newest label's number. Raises SQLAlchemyError."""
    connection.execute(sa.update(label_counter).values(value=label_counter.c.value))
    return connection.scalar(sa.select(label_counter.c.value)) or 0


def history(connection: sa.Connection, sample: str) -> list[Standing]:
    """All that was ever said of a sample, the first first. Raises SQLAlchemyError."""
    query = sa.select(labels).where(labels.c.sample == sample).order_by(labels.c.seq)
    return [_standing(row) for row in connection.execute(query)]


def said_by_number(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, tuple[str, LabelTruth]]:
    """Of which sample each of these labels is, and what it says. Raises SQLAlchemyError."""
    rows = connection.execute(sa.select(labels).where(labels.c.seq.in_(seqs)))
    return {row.seq: (row.sample, truth_of(row.says, row.classes, row.boxes)) for row in rows}


def heads(said: Sequence[Standing]) -> list[Standing]:
    """Those that nobody who saw them has replaced, the last word of each person; more than one: said at once. Pure."""
    newest_seen = max((label.supersedes for label in said), default=0)
    last = {label.by: label.seq for label in said}
    return [label for label in said if label.seq > newest_seen and label.seq == last[label.by]]


def _states(connection: sa.Connection, ids: Collection[str]) -> dict[str, _State]:
    """What is said of each of these samples. Raises SQLAlchemyError."""
    found: dict[str, _State] = {}
    for some in some_of(sorted(ids)):
        query = sa.select(samples.c.id, samples.c.product, samples.c.conflict).where(samples.c.id.in_(some))
        found |= {row.id: _State(row.product, row.conflict, []) for row in connection.execute(query)}
        said = sa.select(labels).where(labels.c.sample.in_(some)).order_by(labels.c.seq)
        for row in connection.execute(said):
            found[row.sample].said.append(_standing(row))
    return found


def _row(found: Mapping[str, _State], new: NewLabel, seq: int, at_ms: int) -> dict[str, object] | None:
    """The row of a label, which then stands in its state; None where it says nothing new. Raises LabelError."""
    if not 0 < len(new.by) <= BY_LENGTH:
        raise LabelError(f"a label is said by somebody, in 1 to {BY_LENGTH} characters, got {new.by[:140]!r}")
    state = found.get(new.sample)
    if state is None:
        raise LabelError(f"there is no sample {new.sample[:80]!r}: list them with `cloud labels list`")
    if state.said and _stands(state, new):
        return None
    newest = state.said[-1].seq if state.said else 0
    seen = newest if new.seen is None else min(new.seen, newest)
    state.said.append(Standing(seq, new.truth, new.source, storable(new.by), new.at_ms, seen))
    state.conflict = len({label.truth for label in heads(state.said)}) > 1
    return {
        "seq": seq,
        "sample": new.sample,
        "product": state.product,
        "source": new.source,
        "said_by": storable(new.by),
        "said_at_ms": new.at_ms,
        "written_at_ms": at_ms,
        "supersedes": seen,
        **new.truth.columns(),
    }


def _write(connection: sa.Connection, rows: Sequence[Mapping[str, object]], found: Mapping[str, _State]) -> None:
    if not rows:
        return
    connection.execute(sa.insert(labels), rows)
    touched = sorted({str(row["sample"]) for row in rows})
    newest = [
        {"sample": sample, "newest": found[sample].said[-1].seq, "disputed": found[sample].conflict}
        for sample in touched
    ]
    where = samples.c.id == sa.bindparam("sample")
    values: dict[str, sa.BindParameter[Any]] = {"label": sa.bindparam("newest"), "conflict": sa.bindparam("disputed")}
    connection.execute(sa.update(samples).where(where).values(values), newest)


def _stands(state: _State, new: NewLabel) -> bool:
    """Whether it says what counts already; a reviewer who agrees with an operator says more than he did."""
    last = state.said[-1]
    return last.truth == new.truth and not state.conflict and (last.source != "feedback" or new.source == "feedback")


def _standing(row: sa.Row[Any]) -> Standing:
    truth = truth_of(row.says, row.classes, row.boxes)
    return Standing(row.seq, truth, row.source, row.said_by, row.said_at_ms, row.supersedes)
