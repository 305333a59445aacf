"""Carries rollouts on: reads what the stations said, decides, writes it, publishes the jobs.

- What is decided is written before it is published: after a kill in between, the next runner publishes it.
- One runner at a time works on a rollout: it holds a lease in the store, and a dead one's lease runs out.
- Jobs are retained, and published again until their station's own word agrees: twice is harmless, never is not.
- A release that is done is watched on until another one of its product follows: see `watching`.
- A station hears one offer at a time, so only the newest that it was asked for is published to it.
"""

import logging
import uuid
import weakref
from dataclasses import replace

import sqlalchemy as sa

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.rollout.book import Claim, Rollout, read_claims, read_rollouts, read_standings, watched
from cloud_sync.hub.rollout.plan import PlanError
from cloud_sync.hub.rollout.stages import SHADOW, What, decide
from cloud_sync.hub.rollout.watching import watch
from cloud_sync.hub.rollout.writing import ask, change, job_of, lock, tell
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.rollout_tables import rollouts
from cloud_sync.wire import topics
from cloud_sync.wire.link import Link
from cloud_sync.wire.messages import Job

LEASE_MS = 15_000
AGAIN_MS = 30_000
WATCH_MS = 5_000
_logger = logging.getLogger(__name__)

_Offer = tuple[str, Claim, Job]


class RolloutRunner:
    """One step at a time; any number of runners on one store do each thing once.

    Args:
        place: the store.
        link: started by its owner; jobs go out by it, retained.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, place: str, link: Link) -> None:
        self._place = place
        self._link = link
        self._name = uuid.uuid4().hex[:16]
        self._reader = open_engine(place, create=False)
        self._writer = open_engine(place, create=True)
        self._sent: dict[str, tuple[Claim, int]] = {}  # by station: what we published, and when
        self._watched_ms: dict[str, int] = {}  # by release: when it was looked at last
        self._closing = weakref.finalize(self, _dispose, (self._reader, self._writer))

    def close(self) -> None:
        """Let go of the store."""
        self._closing()

    def step(self, now_ms: int) -> None:
        """Read, decide, write, publish. Raises StoreError where the store fails: try again later."""
        try:
            for release in self._to_do(now_ms):
                self._work_on(release, now_ms)
        except (sa.exc.SQLAlchemyError, PlanError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"rollouts at {without_password(self._place)}: {cause}") from error

    def _to_do(self, now_ms: int) -> list[str]:
        """Rollouts with something to decide or to publish, the oldest first; most of the time there is none."""
        with self._reader.connect() as connection:
            known, claims = read_rollouts(connection), read_claims(connection)
        due = {claim.release for station, claim in claims.items() if self._is_due(station, claim, now_ms)}
        due |= {one.release for one in watched(known) if self._is_watch_due(one.release, now_ms)}
        return [one.release for one in reversed(known) if one.state in {"waiting", "running"} or one.release in due]

    def _is_watch_due(self, release: str, now_ms: int) -> bool:
        return not 0 <= now_ms - self._watched_ms.get(release, -WATCH_MS) < WATCH_MS

    def _work_on(self, release: str, now_ms: int) -> None:
        with self._writer.begin() as connection:
            lock(connection)
            if not self._holds(connection, release, now_ms):
                return
            known = read_rollouts(connection)
            rollout = next(one for one in known if one.release == release)
            if rollout.state == "waiting":
                rollout = _begun(connection, rollout, now_ms)
            if rollout.state == "running":
                rollout = _carried_on(connection, rollout, now_ms)
            elif rollout in watched(known) and self._is_watch_due(release, now_ms):
                self._watched_ms[release] = now_ms
                rollout = _watched_on(connection, rollout, now_ms)
            offers = self._offers(connection, rollout, now_ms)
        for station, claim, job in offers:
            if self._link.publish(topics.job(station), job.pack(), retain=True):
                self._sent[station] = (claim, now_ms)

    def _holds(self, connection: sa.Connection, release: str, now_ms: int) -> bool:
        """Take the lease, or keep it; False while another runner holds it."""
        free = sa.or_(rollouts.c.worker.is_(None), rollouts.c.worker == self._name, rollouts.c.lease_until_ms < now_ms)
        lease = {"worker": self._name, "lease_until_ms": now_ms + LEASE_MS}
        took = sa.update(rollouts).where(rollouts.c.release == release, free).values(**lease)
        return connection.execute(took).rowcount == 1

    def _offers(self, connection: sa.Connection, rollout: Rollout, now_ms: int) -> list[_Offer]:
        mine = {name: claim for name, claim in read_claims(connection).items() if claim.release == rollout.release}
        due = [(name, claim) for name, claim in mine.items() if self._is_due(name, claim, now_ms)]
        return [(name, claim, job_of(connection, rollout.plan, claim)) for name, claim in due]

    def _is_due(self, station: str, claim: Claim, now_ms: int) -> bool:
        """Never published by us, or long ago and its station is not there yet."""
        sent, at_ms = self._sent.get(station, (None, 0))
        if sent is None or (sent.job, sent.asked) != (claim.job, claim.asked):
            return True
        return not claim.settled and not 0 <= now_ms - at_ms < AGAIN_MS


def _begun(connection: sa.Connection, rollout: Rollout, now_ms: int) -> Rollout:
    """Out of the queue, if no other release of its product is rolling out."""
    others = [
        one.release for one in read_rollouts(connection) if one.state == "running" and one.product == rollout.product
    ]
    if others:
        change(connection, rollout, why=f"waits until {others[0]} is done or stopped")
        return rollout
    change(connection, rollout, state="running", stage=SHADOW, stage_since_ms=now_ms, changed_at_ms=now_ms)
    return replace(rollout, state="running", stage=SHADOW, stage_since_ms=now_ms)


def _carried_on(connection: sa.Connection, rollout: Rollout, now_ms: int) -> Rollout:
    """One decision, and all that it asks for."""
    standings = read_standings(connection, rollout, now_ms)
    decision = decide(rollout.plan, rollout.stage, max(0, now_ms - rollout.stage_since_ms), standings)
    for station, asked in decision.asks:
        ask(connection, rollout, station, asked, now_ms)
    if decision.what is not What.WAIT or decision.asks:
        tell(connection, rollout, _word(decision.what), decision.why, standings, now_ms)
        _logger.info("rollout of %s, %s: %s: %s", rollout.release, rollout.stage_name, decision.what, decision.why)
    return _moved(connection, rollout, decision.what, decision.why, now_ms)


def _watched_on(connection: sa.Connection, rollout: Rollout, now_ms: int) -> Rollout:
    """Only stations whose last word from us is of this release are called back: see `stop_rollout`."""
    standings, claims = read_standings(connection, rollout, now_ms), read_claims(connection)
    decision = watch(rollout.plan, max(0, now_ms - rollout.changed_at_ms), standings)
    for station, asked in decision.asks:
        if station in claims and claims[station].release == rollout.release:
            ask(connection, rollout, station, asked, now_ms)
    if decision.what is What.STOP:
        tell(connection, rollout, decision.what.value, decision.why, standings, now_ms)
        _logger.warning("rollout of %s stops: %s", rollout.release, decision.why)
    return _moved(connection, rollout, decision.what, decision.why, now_ms)


def _moved(connection: sa.Connection, rollout: Rollout, what: What, why: str, now_ms: int) -> Rollout:
    match what:
        case What.WAIT:
            if why != rollout.why:
                change(connection, rollout, why=why)
            return rollout
        case What.ADVANCE:
            then = replace(rollout, stage=rollout.stage + 1, stage_since_ms=now_ms)
            change(connection, rollout, stage=then.stage, stage_since_ms=now_ms, changed_at_ms=now_ms, why=why)
            return _carried_on(connection, then, now_ms)
        case What.DONE | What.STOP:
            state = "done" if what is What.DONE else "stopped"
            change(connection, rollout, state=state, changed_at_ms=now_ms, why=why)
            return replace(rollout, state=state)


def _word(what: What) -> str:
    return "ask" if what is What.WAIT else what.value


def _dispose(engines: tuple[sa.Engine, ...]) -> None:
    for engine in engines:
        engine.dispose()
