"""`cloud rollout start | stop | list | show | resume`: releases to the fleet, by steps. Heavy imports stand inside."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub.broker_options import IDENTITY, IdentityFolder, endpoint_at
from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, columns, said_json
from cloud_sync.hub.plain import plain

if TYPE_CHECKING:
    from cloud_sync.hub.rollout.book import Rollout, Told
    from cloud_sync.hub.rollout.stages import Standing

SAID_NO = 1
WRONG_USAGE = 2
_DECISIONS_SHOWN = 12

ReleaseName = Annotated[str, typer.Argument(metavar="RELEASE", help="The release, such as cells-v7.bundle.")]
_rollout = typer.Typer(help="Let a release go to the stations step by step, and call it back.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_rollout, name="rollout")


@_rollout.command()
def start(  # noqa: PLR0913, PLR0917 - typer makes each option of a command a parameter
    release: ReleaseName,
    store: Store,
    product: Annotated[str, typer.Option(help="Whose model it is.")],
    station: Annotated[
        list[str] | None, typer.Option(help="To which station; may be given more than once (left out: see below).")
    ] = None,
    canary: Annotated[str, typer.Option(help="Which goes first (left out: one with few parts that is online).")] = "",
    shadow_parts: Annotated[int, typer.Option(min=1, help="Each looks at so many parts before it decides.")] = 200,
    live_parts: Annotated[int, typer.Option(min=1, help="It decides so many parts before others follow.")] = 200,
    disagreement_most: Annotated[float, typer.Option(min=0, max=1, help="Share of parts judged otherwise.")] = 0.05,
    undecided_most: Annotated[float, typer.Option(min=0, max=1, help="Share of parts left undecided.")] = 0.01,
    reject_shift_most: Annotated[float, typer.Option(min=0, max=1, help="How far shares of rejects lie apart.")] = 0.1,
    escape_most: Annotated[
        float, typer.Option(min=0, max=1, help="Share of today's rejects that it may pass in shadow.")
    ] = 0.5,
    min_minutes: Annotated[float, typer.Option(min=0, help="Each stage lasts at least so long.")] = 10.0,
    step: Annotated[
        list[int] | None, typer.Option(help="Per cent of the stations, rising to 100; may be given more than once.")
    ] = None,
    patience_minutes: Annotated[
        float, typer.Option(min=0, help="A station silent for so long holds up no other.")
    ] = 60.0,
    watch_hours: Annotated[
        float, typer.Option(min=0, help="So long after its end a station that goes back still stops it for all.")
    ] = 24.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Write that a release is to be rolled out; `cloud work` carries it out. The same words again do nothing.

    It goes to the stations that its signature names, else to all that inspect the product: in shadow on the canary,
    live on the canary, then to 10 % and to all. A gate that fails calls it back from everywhere.
    """
    with _clear_rollout():
        from cloud_sync.hub.rollout.plan import RolloutPlan
        from cloud_sync.hub.rollout.starting import start_rollout

        plan = RolloutPlan(
            canary=canary,
            stations=tuple(station or ()),
            shadow_parts=shadow_parts,
            live_parts=live_parts,
            disagreement_most=disagreement_most,
            undecided_most=undecided_most,
            reject_shift_most=reject_shift_most,
            escape_most=escape_most,
            min_minutes=min_minutes,
            steps_percent=tuple(step or (10, 100)),
            patience_minutes=patience_minutes,
            watch_hours=watch_hours,
        )
        name = start_rollout(store, release, product, plan)
    _print_one(store, name, as_json=as_json)


@_rollout.command()
def stop(
    release: ReleaseName,
    store: Store,
    why: Annotated[str, typer.Option(help="For whoever reads it later.")] = "somebody asked for it",
    broker: Annotated[
        str | None,
        typer.Option(help="Tell the stations at once by this broker, HOST:PORT (left out: `cloud work` does)."),
    ] = None,
    identity: IdentityFolder = IDENTITY,
    *,
    as_json: AsJson = False,
) -> None:
    """Call a release back from every station; those that are offline go back when they return."""
    with _clear_rollout():
        from cloud_sync.hub.rollout.starting import stop_rollout

        stopped = stop_rollout(store, release, why)
        if broker is not None:
            from cloud_sync.hub.files.releases import client_mark, publish
            from cloud_sync.hub.rollout.starting import offers_of
            from cloud_sync.wire.mqtt import MqttLink
            from cloud_sync.wire.mqtt_settings import MqttSettings

            at = endpoint_at(broker, identity)
            link = MqttLink(MqttSettings(at.address, f"inspectd-stop-{client_mark()}", identity=at.identity))
            publish(link, offers_of(store, stopped))
    _print_one(store, release, as_json=as_json)


@_rollout.command()
def resume(release: ReleaseName, store: Store, *, as_json: AsJson = False) -> None:
    """Begin a stopped rollout anew, or go on with stations that a finished one left out."""
    with _clear_rollout():
        from cloud_sync.hub.rollout.starting import resume_rollout

        resume_rollout(store, release)
    _print_one(store, release, as_json=as_json)


@_rollout.command(name="list")
def list_(store: Store, *, as_json: AsJson = False) -> None:
    """Name all rollouts, the newest first, with their stage and what each waits for."""
    with _clear_rollout():
        from cloud_sync.hub.rollout.showing import all_rollouts

        found = all_rollouts(store)
    if as_json:
        for rollout in found:
            said_json(_as_dict(rollout))
        return
    head = ("RELEASE", "PRODUCT", "STATE", "STAGE", "WHY")
    rows = [(one.release, one.product, one.state, one.stage_name, one.why) for one in found]
    for line in (
        columns([head, *[tuple(map(plain, row)) for row in rows]]) if rows else ["no release was rolled out yet"]
    ):
        typer.echo(line)


@_rollout.command()
def show(release: ReleaseName, store: Store, *, as_json: AsJson = False) -> None:
    """Show one rollout: each station by its stage, what it counted, and what was decided when."""
    _print_one(store, release, as_json=as_json, decided=True)


def _print_one(store: str, release: str, *, as_json: bool, decided: bool = False) -> None:
    with _clear_rollout():
        from cloud_sync.hub.rollout.showing import one_rollout

        found = one_rollout(store, release, time.time_ns() // 1_000_000)
    if found is None:
        typer.echo(f"cloud: there is no rollout of {release!r}: `cloud rollout list` names them", err=True)
        raise typer.Exit(SAID_NO)
    rollout, standings, told = found
    if as_json:
        stations = [_station(one) for one in standings]
        said_json(_as_dict(rollout) | {"stations": stations, "decisions": [_decision(one) for one in told]})
        return
    for line in (*_head(rollout, standings), *_table(standings), *(_story(told) if decided else ())):
        typer.echo(line)


def _head(rollout: "Rollout", standings: "Sequence[Standing]") -> Iterator[str]:
    yield f"{rollout.release} for {plain(rollout.product)}: {rollout.state}, stage {rollout.stage_name}"
    yield f"  {plain(rollout.why)}"
    count = Counter(one.state if one.asked else "not asked" for one in standings)
    width = 40
    for name, number in sorted(count.items(), key=lambda pair: -pair[1]):
        yield f"  {name:<12} {'#' * max(1, round(width * number / len(standings)))} {number}"


def _table(standings: "Sequence[Standing]") -> list[str]:
    head = ("STATION", "ASKED", "STATE", "PARTS", "OTHERWISE", "UNDECIDED", "REJECTS", "ONLINE", "WHY")
    return columns([head, *(_row(one) for one in standings)])


def _row(one: "Standing") -> tuple[str, ...]:
    counts = one.counts
    counted = (str(counts.parts), str(counts.disagreements), str(counts.undecided), str(counts.rejects))
    why = plain(one.busy or ", ".join(one.trouble) or one.why) or "-"
    return one.station, one.asked or "-", one.state if one.asked else "-", *counted, "yes" if one.online else "no", why


def _story(told: "Sequence[Told]") -> Iterator[str]:
    if len(told) > _DECISIONS_SHOWN:
        yield f"... {len(told) - _DECISIONS_SHOWN} earlier decisions, all of them with --json"
    for one in told[-_DECISIONS_SHOWN:]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.at_ms / 1000))
        yield f"{at} UTC  {one.stage:<8} {one.what:<8} {plain(one.why)}"


def _as_dict(rollout: "Rollout") -> dict[str, object]:
    names = ("release", "product", "attempt", "state", "why", "made_at_ms", "changed_at_ms", "stage_since_ms")
    return {name: getattr(rollout, name) for name in names} | {"stage": rollout.stage_name}


def _station(one: "Standing") -> dict[str, object]:
    names = ("station", "asked", "state", "why", "online", "busy")
    counts = {name: getattr(one.counts, name) for name in one.counts.__slots__}
    return {name: getattr(one, name) for name in names} | {"trouble": list(one.trouble), "figures": counts}


def _decision(one: "Told") -> dict[str, object]:
    names = ("number", "at_ms", "attempt", "stage", "what", "why")
    return {name: getattr(one, name) for name in names} | {"facts": json.loads(one.facts)}


@contextmanager
def _clear_rollout() -> Iterator[None]:
    """As everywhere, and what cannot be started or stopped is wrong usage."""
    from cloud_sync.hub.rollout.plan import PlanError
    from cloud_sync.hub.rollout.starting import RolloutError

    with clear_errors():
        try:
            yield
        except (RolloutError, PlanError) as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WRONG_USAGE) from error
