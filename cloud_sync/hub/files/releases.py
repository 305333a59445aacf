"""Offers releases to stations: content into the blob store, the offer into the store, then, retained, to the broker.

- A name has one content for ever: another one under the same name is refused.
- The same words again do nothing twice: what was put and written stays, the offer is published anew.
- An offer that its station rejected, or went back from, is made anew under another number: the station tries again.
"""

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs, file_sha256
from cloud_sync.hub.plain import without_password
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import jobs, releases
from cloud_sync.hub.store.rollout_tables import rollouts
from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits, Link, Message
from cloud_sync.wire.messages import FILE_LIMIT_BYTES, METADATA_MARK, Job

ANSWER_S = 10.0

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_ID_DIGITS = 16
_ENDS = frozenset({"rejected", "back"})


class OfferError(Exception):
    """What was to be offered cannot be: the caller's words are wrong."""


@dataclass(frozen=True, slots=True)
class Release:
    """Content under a name."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """One offer, and how far its station came; `asked` where it did not answer yet."""

    station: str
    job: str
    name: str
    state: str
    why: str
    offered_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One release: how many stations are at which state, and how its rollout stands; empty where there was none."""

    name: str
    sha256: str
    size_bytes: int
    made_at_ms: int
    states: dict[str, int]
    rollout: str


def checked_name(name: str) -> str:
    """The name itself. Raises OfferError where no release can have it."""
    if _NAME.fullmatch(name) is None:
        raise OfferError(f"a release's name is 1 to 128 of a-z, 0-9, '.', '_' and '-', got {name[:140]!r}")
    if name.startswith(METADATA_MARK):
        raise OfferError(f"a name that begins {METADATA_MARK!r} is of signed metadata: give {name!r} another")
    return name


def read_release(path: Path) -> Release:
    """What a file would be as a release. Raises OfferError: no such file, a name that is none, too large or empty."""
    checked_name(path.name)
    try:
        sha256, size_bytes = file_sha256(path)
    except OSError as error:
        raise OfferError(f"cannot read {path}: {error.strerror}") from error
    if not 0 < size_bytes <= FILE_LIMIT_BYTES:
        raise OfferError(f"a release has 1 to {FILE_LIMIT_BYTES} bytes, {path} has {size_bytes}")
    return Release(path.name, sha256, size_bytes)


def offer(place: str, blobs: Blobs, path: Path, stations: Sequence[str]) -> list[tuple[str, Job]]:
    """Put a file into the blob store and write its offers; says what is to be published, and to whom.

    Raises:
        OfferError: the file cannot be a release, its name has other content already, or a station's id is none.
        BlobError, StoreError: the outside world failed.
    """
    release = read_release(path)
    names = [_checked(station) for station in stations]
    with _writing(place) as connection:
        _check_name(connection, release)
    if not blobs.holds(release.sha256):
        with path.open("rb") as content:
            blobs.put(release.sha256, content)
    with _writing(place) as connection:
        row = {"name": release.name, "sha256": release.sha256, "size_bytes": release.size_bytes}
        add_absent(connection, releases, row | {"made_at_ms": _now_ms()})
        _check_name(connection, release)
        return [(station, open_job(connection, station, release)) for station in names]


def publish(link: Link, offers: Sequence[tuple[str, Job]], within_s: float = ANSWER_S) -> None:
    """Leave the offers, retained, with the broker. Raises LinkError if it does not take all of them in time."""
    answers = _Answers()
    link.start(answers)
    until_s = time.monotonic() + within_s
    try:
        for station, job in offers:
            answers.count(lambda s=station, j=job: link.publish(topics.job(s), j.pack(), retain=True), until_s)  # type: ignore[misc]
    finally:
        link.stop(1.0)


def client_mark() -> str:
    """A name for one publisher: two of one name would put each other out."""
    return uuid.uuid4().hex[:8]


def job_rows(place: str) -> list[JobRow]:
    """All offers, by station, the newest first. Raises StoreError."""
    engine = open_engine(place, create=False)
    columns = [jobs.c[name] for name in JobRow.__slots__]
    try:
        with engine.connect() as connection:
            query = sa.select(*columns).order_by(jobs.c.station, jobs.c.offered_at_ms.desc(), jobs.c.job)
            return [JobRow(*row) for row in connection.execute(query)]
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"cannot read {without_password(place)}: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()


def release_rows(place: str) -> list[ReleaseRow]:
    """All releases, the newest first. Raises StoreError."""
    engine = open_engine(place, create=False)
    known = sa.select(releases, rollouts.c.state).outerjoin(rollouts, rollouts.c.release == releases.c.name)
    counted = sa.select(jobs.c.name, jobs.c.state, sa.func.count()).group_by(jobs.c.name, jobs.c.state)
    try:
        with engine.connect() as connection:
            states: dict[str, dict[str, int]] = {}
            for name, state, count in connection.execute(counted):
                states.setdefault(name, {})[state] = count
            rows = connection.execute(known.order_by(releases.c.made_at_ms.desc(), releases.c.name))
            return [
                ReleaseRow(
                    row.name, row.sha256, row.size_bytes, row.made_at_ms, states.get(row.name, {}), row.state or ""
                )
                for row in rows
            ]
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"cannot read {without_password(place)}: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()


def open_job(connection: sa.Connection, station: str, release: Release) -> Job:
    """The offer of a release to a station: the one that did not end there, or a new one, which is written."""
    digest = hashlib.sha256(f"{release.name}\n{release.sha256}".encode()).hexdigest()[:_ID_DIGITS]
    mine = jobs.c.station == station, jobs.c.name == release.name
    earlier = connection.execute(sa.select(jobs.c.job, jobs.c.state).where(*mine)).all()
    is_open = next((row.job for row in earlier if row.state not in _ENDS), None)
    job = is_open or f"{digest}-{len(earlier) + 1}"
    if is_open is None:
        times = {"offered_at_ms": _now_ms(), "changed_at_ms": _now_ms()}
        row = {"station": station, "job": job, "name": release.name, "state": "asked", "why": "", "figures": "{}"}
        add_absent(connection, jobs, row | times)
    return Job(job=job, kind="release", name=release.name, size_bytes=release.size_bytes, sha256=release.sha256)


class _Answers:
    """Hears the link: whether it is up, and the broker's answers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answered = 0
        self._why = "no answer"
        self._refusal: str | None = None

    def on_connected(self, limits: Limits) -> None:  # noqa: ARG002 - an offer is small
        with self._changed:
            self._changed.notify()

    def on_disconnected(self, why: str) -> None:
        with self._changed:
            self._why = why
            self._changed.notify()

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        with self._changed:
            self._answered += 1
            self._refusal = refusal
            self._changed.notify()

    def count(self, send: Callable[[], bool], until_s: float) -> None:
        """Send until it is taken, then wait for the answer. Raises LinkError."""
        with self._changed:
            before = self._answered
            while not send():
                self._wait(until_s)
            while self._answered == before:
                self._wait(until_s)
            if self._refusal is not None:
                raise LinkError(f"the broker refused the offer: {self._refusal}")

    def _wait(self, until_s: float) -> None:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise LinkError(f"the offer is written, and was not published: {self._why}; say the same again")
        self._changed.wait(min(left_s, 0.5))


def _checked(station: str) -> str:
    try:
        return topics.checked_station(station)
    except LinkError as error:
        raise OfferError(str(error)) from error


def _check_name(connection: sa.Connection, release: Release) -> None:
    found = connection.scalar(sa.select(releases.c.sha256).where(releases.c.name == release.name))
    if found not in {None, release.sha256}:
        raise OfferError(
            f"the name {release.name!r} stands for other content, sha256 {found}: give the file another name"
        )


@contextmanager
def _writing(place: str) -> Iterator[sa.Connection]:
    open_engine(place, create=False).dispose()  # a mistyped place is refused, not made
    engine = open_engine(place, create=True)
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"cannot write to {without_password(place)}: {getattr(error, 'orig', None) or error}"
        ) from error
    finally:
        engine.dispose()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
