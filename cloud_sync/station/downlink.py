"""Fetches what the cloud offers: a release in blocks, a few at a time, into a file that is whole or not there.

- Blocks are written in order to `.NAME.part`, synced now and then. After a kill at any byte it goes on at the last
  whole block; the hash over the whole file decides, so nothing else has to be remembered.
- A file that hashes wrong after it was taken up from a part is fetched once more from its first byte; one that was
  fetched in one go and hashes wrong is rejected.
- Nothing is activated here: a verified file lies in the folder under its name. Where its offer asks for more, whoever
  keeps releases takes it further, and what that one says is told in the place of our own words.
- The same offer with another stage is no new one: nothing is fetched twice.
- How far it came is told at each change, and again on each new connection, so that no lost word stays lost.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cloud_sync.station.keeping import Keeper, NoKeeper
from cloud_sync.station.passenger import Publish
from cloud_sync.station.release_file import Progress, ReleaseFile
from cloud_sync.station.retelling import Retelling
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import doubled_s
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import BLOCK_BYTES, Job, JobState, Want

BLOCKS_ASKED = 4
SPARE_BYTES = 64 * 1024**2

_logger = logging.getLogger(__name__)

State = Literal["offered", "downloading", "verified", "rejected"]


@dataclass(frozen=True, slots=True)
class DownPace:
    """How patient the download is: blocks that do not come are asked for again after this, then twice that, ...

    Args:
        resend_after_s: the first wait, seconds.
        resend_most_s: the longest, seconds.
        blocks: how many are asked for at a time; acknowledgements come by the same way, behind them.
    """

    resend_after_s: float = 10.0
    resend_most_s: float = 300.0
    blocks: int = BLOCKS_ASKED


@dataclass(slots=True)
class _Fetch:
    job: Job
    file: ReleaseFile
    state: State = "offered"
    why: str = ""
    told: bool = False
    is_open: bool = False
    taken_up: bool = False  # some of it was here already
    asked_end: int = 0  # up to which byte was asked for
    due_s: float | None = None
    silences: int = 0


class Downlink:
    """A `Passenger` that takes the offered release; a newer offer takes the place of an older one.

    Args:
        station: the station's id.
        folder: where releases lie; made where absent.
        pace: how patient it is.
        spare_bytes: so much of the disk stays free beside a release.
        now: the time of day, for what is told.
        keeper: takes a release beyond its download.
    """

    def __init__(
        self,
        station: str,
        folder: Path,
        pace: DownPace | None = None,
        spare_bytes: int = SPARE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        keeper: Keeper | None = None,
    ) -> None:
        self._station = topics.checked_station(station)
        self._folder = folder
        self._pace = pace or DownPace()
        self._spare_bytes = spare_bytes
        self._now = now
        self._keeper = keeper or NoKeeper()
        self._retelling = Retelling(self._keeper)
        self._fetch: _Fetch | None = None

    def begin(self, limits: Limits) -> None:  # noqa: ARG002 - what is sent is small
        """A new connection: ask and tell again; see `Passenger`."""
        self._retelling.begin()
        if self._fetch is not None:
            self._fetch.told = False
            self._fetch.due_s = None

    def hear(self, subject: str, payload: bytes) -> bool:
        """Take an offer or a block; see `Passenger`. Raises LinkError, and OSError where the disk refuses."""
        if subject == "job":
            self._take_offer(payload)
        elif subject.startswith("block/"):
            self._take_block(subject, payload)
        else:
            return False
        return True

    def work(self, now_s: float, publish: Publish) -> None:
        """Tell what changed, check what is whole, ask for what is missing; see `Passenger`. Raises OSError."""
        fetch = self._fetch
        if fetch is not None:
            if fetch.state in {"offered", "downloading"} and self._is_open(fetch):
                self._advance(fetch, now_s, publish)
            self._tell(fetch, publish)
        while (word := self._retelling.due(now_s)) is not None:
            figures = dict(word.figures)
            said = JobState(job=word.job, state=word.state, why=word.why[:300], at=self._now(), figures=figures)
            if not publish(topics.job_state(self._station, word.job), said.pack()):
                return
            self._retelling.told(now_s)

    def _tell(self, fetch: _Fetch, publish: Publish) -> None:
        """Our own word of it, once; none where it was taken further already, in an earlier life too."""
        if fetch.told or (fetch.state != "rejected" and self._retelling.speaks_of(fetch.job.job)):
            return
        said = JobState(job=fetch.job.job, state=fetch.state, why=fetch.why[:300], at=self._now())
        fetch.told = publish(topics.job_state(self._station, fetch.job.job), said.pack())

    def _take_offer(self, payload: bytes) -> None:
        if not payload:  # the offer was withdrawn
            if self._fetch is not None:
                self._fetch.file.discard_part()
            self._fetch = None
            self._keeper.asked(None)
            return
        job = Job.unpack(payload)
        if self._fetch is not None and self._fetch.job.is_same(job):
            self._fetch.job = job
        else:
            self._fetch = _Fetch(job, ReleaseFile(self._folder, job.name, job.size_bytes, job.sha256))
        self._keeper.asked(job)

    def _take_block(self, subject: str, payload: bytes) -> None:
        fetch = self._fetch
        if fetch is None or not fetch.is_open or fetch.state not in {"offered", "downloading"}:
            return
        if subject != f"block/{fetch.job.name}/{fetch.file.held_bytes // BLOCK_BYTES}":
            return  # one that was there before, or one behind a gap: what is missing is asked for again
        if len(payload) != min(BLOCK_BYTES, fetch.job.size_bytes - fetch.file.held_bytes):
            raise LinkError(f"{subject}: {len(payload)} bytes are no block of a file of {fetch.job.size_bytes}")
        fetch.file.append(payload)
        fetch.silences = 0
        if fetch.file.held_bytes >= fetch.asked_end:
            fetch.due_s = None

    def _is_open(self, fetch: _Fetch) -> bool:
        """Whether there is a place for its bytes; looks for one first. Raises OSError, and is then tried again."""
        if not fetch.is_open and (why := fetch.file.obstacle(self._spare_bytes)) is not None:
            self._become(fetch, "rejected", why)
        elif not fetch.is_open:
            fetch.taken_up = fetch.file.open() > 0
            fetch.is_open = True
        return fetch.is_open

    def _advance(self, fetch: _Fetch, now_s: float, publish: Publish) -> None:
        if fetch.state == "offered" and (fetch.told or self._retelling.speaks_of(fetch.job.job)):
            self._become(fetch, "downloading")
        match fetch.file.check():
            case Progress.MISSING:
                self._ask(fetch, now_s, publish)
            case Progress.WHOLE:
                fetch.file.finish()
                self._become(fetch, "verified")
                self._keeper.fetched(fetch.job, self._folder / fetch.job.name)
            case Progress.DAMAGED if fetch.taken_up:
                _logger.warning("release %s hashes wrong: fetched once more from its first byte", fetch.job.name)
                fetch.file.start_over()
                fetch.taken_up, fetch.due_s = False, None
            case Progress.DAMAGED:
                fetch.file.start_over()
                self._become(fetch, "rejected", "its bytes are not what its name says")
            case Progress.CHECKING:
                pass

    def _ask(self, fetch: _Fetch, now_s: float, publish: Publish) -> None:
        if fetch.due_s is not None:
            if now_s < fetch.due_s:
                return
            fetch.silences += 1
        offset = fetch.file.held_bytes
        left = -(-(fetch.job.size_bytes - offset) // BLOCK_BYTES)
        want = Want(name=fetch.job.name, offset=offset, count=min(self._pace.blocks, left))
        if publish(topics.want(self._station), want.pack()):
            fetch.asked_end = min(offset + want.count * BLOCK_BYTES, fetch.job.size_bytes)
            fetch.due_s = now_s + doubled_s(self._pace.resend_after_s, fetch.silences + 1, self._pace.resend_most_s)

    def _become(self, fetch: _Fetch, state: State, why: str = "") -> None:
        fetch.state, fetch.why, fetch.told = state, why, False
        _logger.info("release %s (job %s) is %s%s", fetch.job.name, fetch.job.job, state, f": {why}" if why else "")
