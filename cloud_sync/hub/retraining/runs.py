"""The runs as the store keeps them: opened once per product, said step by step, ended with a result and its reason."""

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.retraining.errors import RequestRefusedError
from cloud_sync.hub.retraining.triggers import WEEK_MS, History, Trigger
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import releases
from cloud_sync.hub.store.retraining_tables import retraining_open, retraining_runs, retraining_steps
from models.archive import SUFFIX


class Result(StrEnum):
    """How a run ended."""

    PUBLISHED = "published"
    REFUSED = "refused"  # the gate said no
    FAILED = "failed"  # the data or the outside world would not do
    ENDED = "ended"  # a person did not want it any more


class UnknownRunError(StoreError, LookupError):
    """The store has no such run."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, fields as in the table."""

    run: str
    product: str
    trigger: str
    why: str
    started_at_ms: int
    step: str
    step_since_ms: int
    worker: str | None
    labels_seq: int | None
    images: int | None
    dataset_sha256: str | None
    snapshot_sha256: str | None
    snapshot_bytes: int | None
    classes: tuple[str, ...]
    champion_sha256: str | None
    bundle: str | None
    bundle_sha256: str | None
    archive_sha256: str | None
    archive_bytes: int | None
    proof: Mapping[str, object] | None
    report_sha256: str | None
    release: str | None
    rollout: str | None
    result: str | None
    reason: str | None
    ended_at_ms: int | None


class Runs:
    """The runs of a store. A context manager; may be used by several threads.

    Args:
        place: a path (SQLite) or an SQLAlchemy URL.
        create: make it where absent, bring it forward where older; else it is only read.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, place: str, *, create: bool = True) -> None:
        self._engine = open_engine(place, create=create)

    @classmethod
    def over(cls, engine: sa.Engine) -> Self:
        """The runs of a store that is open already; whoever opened it closes it."""
        made = cls.__new__(cls)
        made._engine = engine  # noqa: SLF001 - our own
        return made

    def open(self, product: str, trigger: Trigger, why: str, now_ms: int) -> Run:
        """Begin a run, if none of this product is under way.

        Raises:
            RequestRefusedError: one is.
            StoreError: the database failed.
        """
        run = f"{product}-{uuid.uuid4().hex[:12]}"
        row = {"run": run, "product": product, "trigger": trigger.value, "why": why, "started_at_ms": now_ms}
        with self._writing() as connection:
            try:
                connection.execute(sa.insert(retraining_open).values(product=product, run=run))
            except sa.exc.IntegrityError as error:
                raise RequestRefusedError(f"a run of {product!r} is under way already") from error
            connection.execute(sa.insert(retraining_runs).values(step="asked", step_since_ms=now_ms, **row))
        return self.find(run)

    def enter(self, run: str, step: str, worker: str, now_ms: int) -> None:
        """A worker begins this step of it. Raises StoreError."""
        changed = retraining_runs.c.run == run
        with self._writing() as connection:
            connection.execute(
                sa.update(retraining_runs).where(changed).values(step=step, step_since_ms=now_ms, worker=worker)
            )
            add_absent(connection, retraining_steps, {"run": run, "step": step, "began_at_ms": now_ms})

    def note(self, run: str, found: Mapping[str, object]) -> None:
        """Keep what a step found out, all of it or, where its first column has a word already, none.

        So two workers, of which one was overtaken, never mix what they made. Raises StoreError.
        """
        if not found:
            return
        first = retraining_runs.c[next(iter(found))]
        with self._writing() as connection:
            connection.execute(
                sa.update(retraining_runs).where(retraining_runs.c.run == run, first.is_(None)).values(**found)
            )

    def end(self, run: str, result: Result, reason: str, now_ms: int) -> None:
        """It is over; said again it changes nothing. Raises StoreError."""
        with self._writing() as connection:
            connection.execute(
                sa.update(retraining_runs)
                .where(retraining_runs.c.run == run, retraining_runs.c.result.is_(None))
                .values(result=result.value, reason=reason, ended_at_ms=now_ms)
            )
            connection.execute(sa.delete(retraining_open).where(retraining_open.c.run == run))

    def find(self, run: str) -> Run:
        """One run. Raises UnknownRunError, which is a StoreError too, where there is none; StoreError."""
        with self.reading() as connection:
            row = connection.execute(sa.select(retraining_runs).where(retraining_runs.c.run == run)).one_or_none()
        if row is None:
            raise UnknownRunError(f"the store has no run {run!r}")
        return _run(row)

    def steps(self, run: str) -> list[tuple[str, int]]:
        """The steps that a run began, and when first, in order; ms since 1970. Raises StoreError."""
        columns = retraining_steps.c.step, retraining_steps.c.began_at_ms
        query = sa.select(*columns).where(retraining_steps.c.run == run).order_by(retraining_steps.c.began_at_ms)
        with self.reading() as connection:
            return [(str(row[0]), int(row[1])) for row in connection.execute(query)]

    def under_way(self) -> list[Run]:
        """Those that have not ended, oldest first. Raises StoreError."""
        with self.reading() as connection:
            rows = connection.execute(
                sa.select(retraining_runs)
                .join(retraining_open, retraining_open.c.run == retraining_runs.c.run)
                .order_by(retraining_runs.c.started_at_ms)
            ).all()
        return [_run(row) for row in rows]

    def of(self, product: str, limit: int = 100) -> list[Run]:
        """A product's runs, newest first. Raises StoreError."""
        return self._newest(sa.select(retraining_runs).where(retraining_runs.c.product == product), limit)

    def newest(self, limit: int) -> list[Run]:
        """Of all products, newest first. Raises StoreError."""
        return self._newest(sa.select(retraining_runs), limit)

    def history(self, product: str, now_ms: int) -> History:
        """What the triggers ask of a product's runs. Raises StoreError."""
        return history_of(self.of(product), now_ms)

    def versions(self, bundle: str) -> list[int]:
        """The versions of a bundle that runs or releases have taken. Raises StoreError."""
        columns = (retraining_runs.c.bundle, releases.c.name)
        with self.reading() as connection:
            names = [
                str(name)
                for column in columns
                for name in connection.scalars(
                    sa.select(column).where(column.startswith(f"{bundle}-v", autoescape=True))
                )
            ]
        ends = [name.removeprefix(f"{bundle}-v").removesuffix(SUFFIX) for name in names]
        return [int(end) for end in ends if end.isdigit()]

    @property
    def engine(self) -> sa.Engine:
        """The store's; whoever opened us closes it."""
        return self._engine

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """To ask what else the store holds. Raises StoreError."""
        with store_errors(self._engine), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Give back what the database lent."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _newest(self, query: "sa.Select[tuple[object, ...]]", limit: int) -> list[Run]:
        ordered = query.order_by(retraining_runs.c.started_at_ms.desc(), retraining_runs.c.run).limit(limit)
        with self.reading() as connection:
            return [_run(row) for row in connection.execute(ordered).all()]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with store_errors(self._engine), self._engine.begin() as connection:
            yield connection


def history_of(runs: Sequence[Run], now_ms: int) -> History:
    """What the triggers ask, of a product's runs, newest first."""
    if not runs:
        return History()
    last = runs[0]
    starts = tuple(run.started_at_ms for run in reversed(runs) if run.started_at_ms > now_ms - WEEK_MS)
    return History(last.started_at_ms, last.ended_at_ms, starts, "" if last.ended_at_ms else last.run)


def seen(runs: Sequence[Run]) -> tuple[int, tuple[str, ...]]:
    """The newest label that a training has used, and the classes it knew; one that came to nothing has used none."""
    nothing = {Result.FAILED, Result.ENDED}
    used = next((run for run in runs if run.labels_seq is not None and run.result not in nothing), None)
    return (0, ()) if used is None or used.labels_seq is None else (used.labels_seq, used.classes)


@contextlib.contextmanager
def store_errors(engine: sa.Engine) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"the store {engine.url!r} fails: {getattr(error, 'orig', None) or error}") from error


def _run(row: "sa.Row[tuple[object, ...]]") -> Run:
    content = dict(row._mapping)  # noqa: SLF001 - its public name; the underscore keeps it apart from columns
    content["classes"] = tuple(json.loads(str(content["classes"]))) if content["classes"] else ()
    content["proof"] = json.loads(str(content["proof"])) if content["proof"] else None
    return Run(**content)
