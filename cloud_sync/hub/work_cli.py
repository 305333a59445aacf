"""`cloud init | work | serve | retrain`: from labels to releases, from the command line. Heavy imports stand inside."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.fleet_cli import AsJson

if TYPE_CHECKING:
    from cloud_sync.hub.retraining.cloud_toml import CloudConfig
    from cloud_sync.hub.retraining.runs import Run

SAID_NO = 1
WRONG_USAGE = 2
WORLD_FAILED = 3
CONFIG = Path("cloud.toml")
_LOOK_S = 0.5

ConfigFile = Annotated[Path, typer.Option("--config", help="The cloud's file, as `cloud init` writes it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(work)
    app.command()(serve)
    app.command()(retrain)


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = CONFIG,
    *,
    as_json: AsJson = False,
) -> None:
    """Write a commented cloud.toml; one that is there is left as it is."""
    with clear_words():
        from cloud_sync.hub.retraining.cloud_toml import write_template

        write_template(path)
    said = f"{path}: set the product, then `cloud keys init` and `cloud serve --config {path}`"
    typer.echo(json.dumps({"config": str(path)}) if as_json else said)


def work(config: ConfigFile = CONFIG, *, as_json: AsJson = False) -> None:
    """Train, prove, sign and roll out what triggers, until SIGTERM; killed, it goes on where it was."""
    with clear_words():
        from cloud_sync.hub.retraining.working import work_until_signal

        work_until_signal(read_config(config), as_json=as_json)


def serve(config: ConfigFile = CONFIG, *, as_json: AsJson = False) -> None:
    """Run `cloud collect`, `cloud work` and `cloud web` until SIGTERM, and start again what ends."""
    with clear_words():
        from cloud_sync.hub.retraining.serving import serve_until_signal

        read_config(config)
        code = serve_until_signal(config, as_json=as_json)
    if code:
        raise typer.Exit(code)


def retrain(
    product: Annotated[str, typer.Argument(help="The product, as cloud.toml calls it.")],
    config: ConfigFile = CONFIG,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 if the gate said no.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a training by hand; a worker begins it within a second. Exit code 1 where it is held."""
    with clear_words():
        from cloud_sync.hub.retraining.asking import ask

        run = ask(read_config(config), product)
        if wait:
            run = _ended(read_config(config), run)
    _answer(run, as_json=as_json)


def read_config(path: Path) -> "CloudConfig":
    """cloud.toml, checked. Raises CloudConfigError."""
    from cloud_sync.hub.retraining.cloud_toml import load_config

    return load_config(path)


@contextmanager
def clear_words() -> Iterator[None]:
    """As everywhere; a file that is wrong is wrong usage, what is held is a no, what fails is the world."""
    from cloud_sync.hub.retraining.errors import CloudConfigError, RequestRefusedError, RetrainingError
    from models.errors import ModelError

    with clear_errors():
        try:
            yield
        except CloudConfigError as error:
            _fail(error, WRONG_USAGE)
        except RequestRefusedError as error:
            _fail(error, SAID_NO)
        except (RetrainingError, ModelError, OSError) as error:
            _fail(error, WORLD_FAILED)


def _ended(config: "CloudConfig", run: "Run") -> "Run":
    from cloud_sync.hub.retraining.runs import Runs

    pause = threading.Event()
    with Runs(config.cloud.store, create=False) as runs:
        while (run := runs.find(run.run)).result is None:
            pause.wait(_LOOK_S)
    return run


def _answer(run: "Run", *, as_json: bool) -> None:
    from cloud_sync.hub.retraining.runs import Result

    content = {"run": run.run, "product": run.product, "why": run.why, "result": run.result, "reason": run.reason}
    said = f"{run.run}: {run.why}" if run.result is None else f"{run.run}: {run.result}: {run.reason}"
    typer.echo(json.dumps(content | {"bundle": run.bundle, "release": run.release}) if as_json else said)
    if run.result in {Result.REFUSED, Result.FAILED}:
        raise typer.Exit(SAID_NO if run.result == Result.REFUSED else WORLD_FAILED)


def _fail(error: Exception, code: int) -> None:
    typer.echo(f"cloud: {error}", err=True)
    raise typer.Exit(code) from error
