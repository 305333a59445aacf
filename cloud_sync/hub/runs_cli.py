"""`cloud runs list | show | end`: trainings under way and past, from the command line. Heavy imports stand inside."""

import getpass
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub.fleet_cli import AsJson, columns, said_json
from cloud_sync.hub.plain import plain
from cloud_sync.hub.work_cli import CONFIG, ConfigFile, clear_words, read_config

if TYPE_CHECKING:
    from cloud_sync.hub.retraining.runs import Run

_HEAD = ("RUN", "PRODUCT", "SINCE", "STEP", "RESULT", "BUNDLE", "WHY")
_SHOWN = 50
_MOST = 1000

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run, as `cloud runs list` names it.")]
_runs = typer.Typer(help="The trainings: those under way, what came of the others, and the end of a stuck one.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_runs, name="runs", no_args_is_help=True)


@_runs.command("list")
def list_runs(
    config: ConfigFile = CONFIG,
    *,
    product: Annotated[str, typer.Option(help="Only this product's.")] = "",
    most: Annotated[int, typer.Option(min=1, max=_MOST, help="So many, the newest.")] = _SHOWN,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first. One line of JSON each with --json."""
    with clear_words():
        from cloud_sync.hub.retraining.runs import Runs

        with Runs(read_config(config).cloud.store, create=False) as runs:
            found = runs.of(product, most) if product else runs.newest(most)
    if as_json:
        for run in found:
            said_json(_as_dict(run))
    else:
        typer.echo("\n".join(columns([_HEAD, *(_row(run) for run in found)])))


@_runs.command()
def show(run: RunId, config: ConfigFile = CONFIG, *, as_json: AsJson = False) -> None:
    """Show all that is known of a run."""
    with clear_words():
        from cloud_sync.hub.retraining.ending import known_run
        from cloud_sync.hub.retraining.runs import Runs

        with Runs(read_config(config).cloud.store, create=False) as runs:
            found = known_run(runs, run)
    _print(found, as_json=as_json)


@_runs.command()
def end(
    run: RunId,
    config: ConfigFile = CONFIG,
    *,
    why: Annotated[str, typer.Option(help="Why, for those who look later.")] = "",
    by: Annotated[str, typer.Option(help="Who wants it (left out: whoever is logged in).")] = "",
    as_json: AsJson = False,
) -> None:
    """End a run that is stuck or not wanted any more, so that its product can be trained anew.

    The worker at it ends its training within seconds. What it signed or sent out already stays: see
    `cloud rollout stop`. Exit code 1 where the run has ended, or there is none.
    """
    with clear_words():
        from cloud_sync.hub.retraining.ending import end_run

        ended = end_run(read_config(config).cloud.store, run, by or getpass.getuser(), why)
    _print(ended, as_json=as_json)
    if ended.rollout and not as_json:
        typer.echo(f"its rollout goes on: `cloud rollout stop {ended.rollout}`, if it shall not")


def _print(run: "Run", *, as_json: bool) -> None:
    if as_json:
        said_json(_as_dict(run))
        return
    for name, value in _as_dict(run).items():
        if value not in (None, "", []):
            typer.echo(plain(f"{name:<18} {value}"))


def _row(run: "Run") -> tuple[str, ...]:
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.started_at_ms / 1000))
    why = run.why if run.reason is None else run.reason
    row = (run.run, run.product, since, run.step, run.result or "under way", run.bundle or "-", why)
    return tuple(plain(cell) for cell in row)


def _as_dict(run: "Run") -> dict[str, object]:
    content = {name: getattr(run, name) for name in run.__slots__}
    return content | {"classes": list(run.classes)}
