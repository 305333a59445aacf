"""Begins, stops and resumes rollouts: each is written at once, and whoever works on the store carries it out.

- A release is rolled out once: the same words again do nothing.
- One release of a product rolls out at a time. Another one waits; a newer one takes the place of one that waits.
- What is stopped stays stopped until somebody says `resume`; then it begins anew, in shadow on the canary.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import sqlalchemy as sa

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.rollout.book import Rollout, read_claims, read_rollout, read_standings
from cloud_sync.hub.rollout.fleet import Candidate, candidates, signed_about
from cloud_sync.hub.rollout.plan import PlanError, RolloutPlan, pack_plan
from cloud_sync.hub.rollout.stages import CANARY, Asked, withdrawal
from cloud_sync.hub.rollout.writing import ask, change, job_of, lock, tell
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import releases
from cloud_sync.hub.store.rollout_tables import rollout_stations, rollouts
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import Job
from models.trust.about import ReleaseAbout
from models.trust.errors import TrustError

_ENDED = {"done", "stopped"}


class RolloutError(Exception):
    """What was asked for cannot be: the caller's words, or another rollout, stand against it."""


def start_rollout(place: str, release_name: str, product: str, plan: RolloutPlan) -> str:
    """Write that a release is to be rolled out; the rollout's id. Whoever works on the store does it.

    Args:
        place: the store.
        release_name: a published release, `ID-vN.bundle`.
        product: whose model it is; one rollout of a product at a time, a second one waits.
        plan: how.

    Raises:
        RolloutError: there is no such release, or no station for it.
        StoreError: the outside world failed.
    """
    about = _signed(place, release_name)
    if about is not None and about.product != product:
        raise RolloutError(f"{release_name} was signed for product {about.product!r}, not for {product!r}")
    with writing(place) as connection:
        if read_rollout(connection, release_name) is not None:
            return release_name
        if connection.scalar(sa.select(releases.c.name).where(releases.c.name == release_name)) is None:
            raise RolloutError(f"there is no release {release_name!r} in the store: publish it first")
        named = plan.stations or (about.stations if about is not None else ())
        order = _in_turn(_found(connection, product, named), plan, product)
        _write(connection, release_name, product, plan, order)
    return release_name


def stop_rollout(place: str, release_name: str, why: str) -> Rollout:
    """Stop it everywhere: every station that was asked for anything is asked to go back; again it does nothing.

    Raises:
        RolloutError: there is no such rollout, or another release followed it on its stations.
        StoreError: the outside world failed.
    """
    with writing(place) as connection:
        rollout = _known(connection, release_name)
        if rollout.state == "stopped":
            return rollout
        now_ms = _now_ms()
        standings, claims = read_standings(connection, rollout, now_ms), read_claims(connection)
        later = sorted({claims[one.station].release for one in standings if one.station in claims} - {release_name})
        mine = [one for one in standings if one.station in claims and claims[one.station].release == release_name]
        if later and not mine and rollout.state == "done":
            raise RolloutError(f"{later[-1]} followed {release_name} on its stations: stop that one")
        for station, asked in withdrawal(mine):
            ask(connection, rollout, station, asked, now_ms)
        change(connection, rollout, state="stopped", why=why, changed_at_ms=now_ms)
        tell(connection, rollout, "stop", why, standings, now_ms)
        return replace(rollout, state="stopped", why=why)


def resume_rollout(place: str, release_name: str) -> Rollout:
    """Begin a stopped one anew, or go on with the stations that one left out; one under way goes on as it does.

    Raises:
        RolloutError: there is no such rollout, or one that would go on at once while another of its product does.
        StoreError: the outside world failed.
    """
    with writing(place) as connection:
        rollout = _known(connection, release_name)
        if rollout.state not in _ENDED:
            return rollout
        now_ms = _now_ms()
        anew = rollout.state == "stopped"
        if not anew:
            _check_alone(connection, rollout)
        if anew:
            blank = {"asked": Asked.NOTHING.value, "job": "", "asked_at_ms": None, "faults": "[]"}
            mine = rollout_stations.c.release == release_name
            connection.execute(sa.update(rollout_stations).where(mine).values(**blank))
        stage = 0 if anew else CANARY + len(rollout.plan.steps_percent)
        now = {"state": "waiting" if anew else "running", "stage": stage, "why": "resumed", "stage_since_ms": now_ms}
        resumed = replace(rollout, attempt=rollout.attempt + 1, state=str(now["state"]), stage=stage, why="resumed")
        change(connection, rollout, attempt=resumed.attempt, changed_at_ms=now_ms, **now)
        tell(connection, resumed, "resume", "somebody asked for it", (), now_ms)
        return resumed


def offers_of(place: str, rollout: Rollout) -> list[tuple[str, Job]]:
    """What every station of a rollout is asked for now, for whoever publishes it at once. Raises StoreError."""
    with writing(place) as connection:
        claims = read_claims(connection).items()
        mine = [(name, claim) for name, claim in claims if claim.release == rollout.release and not claim.settled]
        return [(name, job_of(connection, rollout.plan, claim)) for name, claim in mine]


@contextmanager
def writing(place: str) -> Iterator[sa.Connection]:
    """One transaction at a store that is there, in which nobody else writes of rollouts. Raises StoreError."""
    open_engine(place, create=False).dispose()  # a mistyped place is refused, not made
    engine = open_engine(place, create=True)
    try:
        with engine.begin() as connection:
            lock(connection)
            yield connection
    except (sa.exc.SQLAlchemyError, PlanError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot write to {without_password(place)}: {cause}") from error
    finally:
        engine.dispose()


def _signed(place: str, release: str) -> ReleaseAbout | None:
    try:
        return signed_about(place, release)
    except TrustError as error:
        raise RolloutError(f"what is signed in the store cannot be read: {error}") from error


def _found(connection: sa.Connection, product: str, named: Sequence[str]) -> list[Candidate]:
    try:
        return candidates(connection, product, named)
    except LinkError as error:
        raise RolloutError(str(error)) from error


def _in_turn(found: Sequence[Candidate], plan: RolloutPlan, product: str) -> list[str]:
    """The canary first, then the rest: who is there and has the fewest parts goes first."""
    order = [one.station for one in sorted(found, key=lambda one: (not one.online, one.parts, one.station))]
    if not order:
        raise RolloutError(f"no station is known that inspects product {product!r}: name them with --station")
    if plan.canary and plan.canary not in order:
        raise RolloutError(f"the canary {plan.canary!r} is none of the stations {', '.join(sorted(order)[:20])}")
    first = plan.canary or order[0]
    return [first, *(name for name in order if name != first)]


def _write(connection: sa.Connection, release: str, product: str, plan: RolloutPlan, order: Sequence[str]) -> None:
    now_ms = _now_ms()
    waiting = rollouts.c.product == product, rollouts.c.state == "waiting", rollouts.c.attempt == 1
    over = {"state": "stopped", "why": f"{release} took its place before it began", "changed_at_ms": now_ms}
    connection.execute(sa.update(rollouts).where(*waiting).values(**over))
    times = dict.fromkeys(("stage_since_ms", "made_at_ms", "changed_at_ms"), now_ms)
    row = {"release": release, "product": product, "attempt": 1, "state": "waiting", "stage": 0, "why": "just written"}
    add_absent(connection, rollouts, {**row, **times, "plan": pack_plan(plan)})
    for place, station in enumerate(order):
        blank = {"asked": Asked.NOTHING.value, "job": "", "faults": "[]"}
        add_absent(connection, rollout_stations, {"release": release, "station": station, "place": place, **blank})
    rollout = read_rollout(connection, release)
    if rollout is not None:
        tell(connection, rollout, "begin", f"{len(order)} stations, canary {order[0]}", (), now_ms)


def _check_alone(connection: sa.Connection, rollout: Rollout) -> None:
    """One that begins anew waits for its turn; one that goes on where it was has none to wait for."""
    mine = rollouts.c.product == rollout.product, rollouts.c.release != rollout.release
    other = connection.scalar(sa.select(rollouts.c.release).where(*mine, rollouts.c.state == "running").limit(1))
    if other is not None:
        raise RolloutError(f"{other} is rolling out for {rollout.product!r}: wait for its end, or stop it first")


def _known(connection: sa.Connection, release: str) -> Rollout:
    rollout = read_rollout(connection, release)
    if rollout is None:
        raise RolloutError(f"there is no rollout of {release!r}: `cloud rollout list` names them")
    return rollout


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
