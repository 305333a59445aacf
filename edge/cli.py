"""The `edge` command. Every heavy import stands inside the command that needs it, so that help is quick.

Exit codes: 0 ok, 1 a gate or check said no, 2 wrong usage or configuration, 3 the outside world failed.
With `--json` the result is one JSON object on stdout; progress and messages always go to stderr.
"""

import json
import re
import sys
import traceback
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from edge.backup_cli import backup, factory_reset, restore
from edge.bench_cli import bench
from edge.bundle_cli import bundle_app
from edge.calibrate_cli import calibrate
from edge.camera_cli import camera_app
from edge.config_cli import config_app
from edge.doctor_cli import doctor
from edge.domain.errors import (
    EXIT_REFUSED,
    EXPECTED_ERRORS,
    ConfigError,
    StorageError,
    exit_code,
)
from edge.enrol_cli import enrol, renew
from edge.feedback_cli import feedback
from edge.masters_cli import masters_app, verify_masters
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table, say
from edge.spool_cli import spool_app
from edge.tune_cli import tune
from edge.web_cli import user_app, web

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(config_app, name="config")
app.add_typer(bundle_app, name="bundle")
app.add_typer(camera_app, name="camera")
app.command()(calibrate)
app.command()(doctor)
app.add_typer(masters_app, name="masters")
app.add_typer(spool_app, name="spool")
app.command("verify-masters")(verify_masters)
app.command()(feedback)
app.command()(enrol)
app.command()(renew)
app.command()(backup)
app.command()(restore)
app.command("factory-reset")(factory_reset)
app.command()(bench)
app.command()(tune)
app.command()(web)
app.add_typer(user_app, name="user")

STATION_ID = r"[a-z0-9][a-z0-9-]{0,62}"


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        from importlib.metadata import version

        typer.echo(f"inspectd {version('inspectd')}")
        raise typer.Exit


@app.callback()
def edge(
    _version: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Be a station of inspectd's: inspect every part, tell the line, keep the proof."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an expected fault ends in one line on stderr, a defect in its traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(given)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not end in the exit code of a gate that said no
        code = exit_code(error)
        sys.stderr.write(f"error: {error}\n" if isinstance(error, EXPECTED_ERRORS) else traceback.format_exc())
        if "--json" in given:
            print_json({"ok": False, "error": str(error), "kind": type(error).__name__, "exit_code": code})
        sys.exit(code)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write station.toml.")] = Path(),
    station: Annotated[str, typer.Option(help="The station's id; the folder's name if left out.")] = "",
    data_dir: Annotated[str, typer.Option(help="Where database, images and bundles go.")] = "data",
    camera: Annotated[str, typer.Option(help="The camera's source, as the file explains it.")] = "frames",
    broker: Annotated[str, typer.Option(help="The cloud's broker, HOST:PORT; without it nothing is sent.")] = "",
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Write a commented station.toml; an existing one is left alone."""
    from edge.config_schema import SCHEMA_FILE, write_schema

    path, station = folder / "station.toml", station or folder.absolute().name.lower()
    if not re.fullmatch(STATION_ID, station):
        raise ConfigError(f"a station's id is 1 to 63 of a-z 0-9 -, got {station!r}: name one with --station")
    given = {"{id}": station, 'data_dir = "data"': f"data_dir = {json.dumps(data_dir)}"}
    given['source = "frames"'] = f"source = {json.dumps(camera)}"
    if broker:
        given['# broker = "hub.example:8883"'] = f"broker = {json.dumps(broker)}"
    text = resources.files("edge").joinpath("station.example.toml").read_text(encoding="utf-8")
    for example, own in given.items():
        text = text.replace(example, own)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(f"#:schema ./{SCHEMA_FILE}\n" + text)
        write_schema(folder / SCHEMA_FILE)
    except FileExistsError:
        raise ConfigError(f"{path} exists and is left as it is: edit it, or name another folder") from None
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    say(as_json, {"ok": True, "path": str(path)}, f"wrote {path}: set camera and product, then `edge calibrate`")


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Logs as JSON lines on stderr.")] = False,  # noqa: FBT002
) -> None:
    """Run the station until SIGTERM or Ctrl-C."""
    from edge.config import load_config
    from edge.daemon import run_daemon
    from edge.logs import configure_logs

    configure_logs(as_json=as_json)
    run_daemon(load_config(config))
    if as_json:
        print_json({"ok": True, "stopped": True})


@app.command()
def changeover(
    product: Annotated[str, typer.Argument(help="What a trigger that names no product means from now on.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Change a running station over to a product; parts on their way keep theirs. Exit 2 for one it does not know."""
    from edge.config import load_config
    from edge.line.changeover import choose_product
    from edge.line.protocol import parse_address

    took_ms = choose_product(parse_address(load_config(config).line.port), product)
    say(as_json, {"ok": True, "product": product, "took_ms": round(took_ms, 3)}, f"{product} from now on")


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - each is an option of the command
    product: Annotated[str, typer.Option(help="The product every trigger names.")],
    parts: Annotated[int, typer.Option(min=1, help="How many parts pass.")] = 100,
    port: Annotated[str, typer.Option(help="The station's line port.")] = "tcp://127.0.0.1:7411",
    log: Annotated[Path, typer.Option(help="JSON lines: what was triggered, what was told.")] = Path("line.jsonl"),
    rate: Annotated[float, typer.Option(min=0, help="Parts per second; 0 is as fast as told.")] = 0,
    in_flight: Annotated[int, typer.Option(min=1, help="Parts waiting for their verdict at once.")] = 1,
    patience_s: Annotated[float, typer.Option(min=0.01, help="After this a part counts as untold.")] = 5,
    prefix: Annotated[str, typer.Option(help="Part ids start with it.")] = "part",
    ack: Annotated[bool, typer.Option(help="Acknowledge verdicts.")] = True,  # noqa: FBT002 - a flag
    seconds: Annotated[float, typer.Option(min=0, help="No part passes after this; 0: all parts do.")] = 0,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Play a production line: trigger parts and log what was told. Exit 1 when a part was not told."""
    from edge.line.protocol import parse_address
    from edge.line.simulator import SimulatedLine, Simulator, summarize

    line = SimulatedLine(
        parse_address(port),
        product,
        parts,
        log,
        rate_hz=rate or None,
        in_flight=in_flight,
        patience_s=patience_s,
        prefix=prefix,
        acknowledge=ack,
        seconds=seconds or None,
    )
    summary = summarize(Simulator(line).run())
    say(as_json, summary, f"{summary}\nlog: {log}")
    if summary["untold"]:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """How the station is. Exit 1 when it is not running or not ready."""
    from edge.config import load_config
    from edge.status import read_status

    found = read_status(load_config(config))
    if as_json:
        print_json(found)
    else:
        print_table("station", ("what", "is"), [(name, json.dumps(value)) for name, value in found.items()])
    if not found["ready"]:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Everything the demo makes goes here; an old run is replaced.")] = Path(
        "demo-run"
    ),
    fast: Annotated[bool, typer.Option("--fast", help="Fewer cells, about 3 minutes in place of 6.")] = False,  # noqa: FBT002
    broker: Annotated[str, typer.Option(help="mosquitto or iotcore; the first that is here if left out.")] = "",
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Run the whole product on real solar cells, once around: line, cloud, a new model, line; check every record.

    Ends with the pages of station and cloud; at a terminal they stay until Ctrl-C.

    Exit 1 when a record is missing or doubled, or the new model did not go live.
    """
    from edge.demo.run import run_demo

    if broker not in {"", "mosquitto", "iotcore"}:
        raise typer.BadParameter(f"expected mosquitto or iotcore, got {broker!r}", param_hint="--broker")
    stay = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    result = run_demo(folder, fast=fast, broker=broker or None, stay=stay)
    if as_json:
        print_json(result.as_json())
    if not result.ok:
        raise typer.Exit(EXIT_REFUSED)
