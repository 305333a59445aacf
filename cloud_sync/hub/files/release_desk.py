"""The desk for releases: blocks for who was offered them, and what became of each offer.

- A station gets blocks only of what it was offered; a name that it was not offered is answered with silence.
- Blocks are read and sent on the side, never in the collector's transaction: a slow blob store slows only them.
"""

import json
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.hub.store.file_tables import jobs, releases
from cloud_sync.wire import topics
from cloud_sync.wire.blobs import block_at
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import BLOCK_BYTES, JobState, Want
from cloud_sync.wire.topics import checked_station

_STATIONS = 1000
_ORDER = ("asked", "offered", "downloading", "verified", "selftest", "shadow", "live", "back")
_RANKS = {state: rank for rank, state in enumerate(_ORDER)} | {"rejected": len(_ORDER) - 1}
_ENDS = frozenset({"back", "rejected"})
_FIGURE_MOST = 1e12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_logger = logging.getLogger(__name__)


class ReleaseDesk:
    """A `Desk` for `want` and `job/...`; a context manager, closed when the collector ends.

    Args:
        place: the store, as the collector has it; it must exist.
        blobs: where the releases lie.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, place: str, blobs: Blobs) -> None:
        self._blobs = blobs
        self._reader = open_engine(place, create=False)
        self._wanted: OrderedDict[str, Want] = OrderedDict()  # a station's newest; it asks again for what it lacks
        self._reading: Future[list[Reply]] | None = None
        self._unsaid: deque[Reply] = deque()
        self._thread = ThreadPoolExecutor(1, "releases")

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "want" or subject.startswith("job/")

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> Sequence[Reply]:
        """See `Desk`."""
        if subject == "want":
            self._wanted.pop(station, None)
            self._wanted[station] = Want.unpack(payload)
            if len(self._wanted) > _STATIONS:
                self._wanted.popitem(last=False)
        else:
            _note_state(connection, station, subject.removeprefix("job/"), JobState.unpack(payload), at_ms)
        return ()

    def work(self, publish: Publish) -> None:
        """Send blocks that were read, have the next ones read; see `Desk`."""
        while self._unsaid and publish(self._unsaid[0]):
            self._unsaid.popleft()
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                self._unsaid.extend(reading.result())
            except (BlobError, LinkError, sa.exc.SQLAlchemyError) as error:
                _logger.error("blocks cannot be read, their station asks again: %s", error)
        if self._reading is None and not self._unsaid and self._wanted:
            station, want = self._wanted.popitem(last=False)
            self._reading = self._thread.submit(self._read, station, want)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, station: str, want: Want) -> list[Reply]:
        """On the thread: the blocks as they go out; none where the station was not offered them."""
        offered = sa.select(releases.c.sha256, releases.c.size_bytes).join(jobs, jobs.c.name == releases.c.name)
        with self._reader.connect() as connection:
            mine = offered.where(jobs.c.station == station, releases.c.name == want.name)
            row = connection.execute(mine).first()
        if row is None:
            _logger.warning("station %s asks for %s, which it was not offered", station, want.name)
            return []
        first, last = block_at(want.offset, row.size_bytes), want.offset + (want.count - 1) * BLOCK_BYTES
        end = min(last + BLOCK_BYTES, row.size_bytes)
        content = self._blobs.read(row.sha256, first.first, end)
        return [
            Reply(topics.block(station, want.name, (want.offset + at) // BLOCK_BYTES), content[at : at + BLOCK_BYTES])
            for at in range(0, len(content), BLOCK_BYTES)
        ]


def _note_state(connection: sa.Connection, station: str, job: str, said: JobState, at_ms: int) -> None:
    """Write how far a station came, and what it counted there. Raises LinkError.

    A word of an earlier state changes nothing, nor does one that was said before the last: words come twice, and late.
    What ended stays ended.
    """
    if said.job != job:
        raise LinkError(f"expected job {job}, as the topic says, got {said.job}")
    if odd := next((name for name, value in said.figures.items() if not 0 <= value <= _FIGURE_MOST), None):
        raise LinkError(f"expected figures from 0 to {_FIGURE_MOST:g}, got {odd[:60]!r}: {said.figures[odd]!r}")
    mine = jobs.c.station == checked_station(station), jobs.c.job == job
    columns = jobs.c.state, jobs.c.why, jobs.c.said_at_ms, jobs.c.figures
    known = connection.execute(sa.select(*columns).where(*mine)).one_or_none()
    if known is None:
        raise LinkError(f"station {station} was never offered job {job}")
    said_at_ms, is_news = _ms(said.at), said.state != known.state
    more = said.figures.get("parts", 0) - json.loads(known.figures).get("parts", 0)
    if _RANKS[said.state] < _RANKS[known.state] or (is_news and known.state in _ENDS):
        return
    if not is_news and said_at_ms < (known.said_at_ms or 0) and more <= 0:  # a clock may be set back, a count is not
        return
    changed = {"state": said.state, "why": storable(said.why), "said_at_ms": said_at_ms, "heard_at_ms": at_ms}
    if is_news or said.why != known.why or more > 0:
        changed["changed_at_ms"] = at_ms
    figures = json.dumps(said.figures or (json.loads(known.figures) if said.state in _ENDS else {}))
    connection.execute(sa.update(jobs).where(*mine).values(figures=figures, **changed))


def _ms(at: datetime) -> int:
    """Milliseconds since 1970 of any date that a station can write; one that names no zone is UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
