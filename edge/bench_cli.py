"""`edge bench`: how fast a whole station is on this machine. Heavy imports stand inside."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edge.domain.errors import EXIT_REFUSED, StorageError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from edge.bench.result import BenchResult

_EXIT_INTERRUPTED = 130
_DEFAULT_S, _QUICK_S = 7.0, 1.5


def bench(  # noqa: PLR0913, PLR0917 - each is an option of the command
    product: Annotated[str, typer.Option(help="Which product of station.toml; the only one if left out.")] = "",
    frames: Annotated[
        Path | None, typer.Option("--from", help="A folder of images to show; the bundle's self-test if left out.")
    ] = None,
    cameras: Annotated[str, typer.Option(help="Camera counts to measure.")] = "1,2,4",
    parts: Annotated[int, typer.Option(min=1, help="At most so many parts in each run.")] = 2000,
    rate: Annotated[float, typer.Option(min=0, help="Parts per second of paced runs; 0: half the fastest.")] = 0,
    seconds: Annotated[
        float, typer.Option(min=0, max=300, help="At most so long each run; 0: 7, or 1.5 with --quick.")
    ] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute: 1 and 2 cameras, short runs.")] = False,  # noqa: FBT002
    out: Annotated[Path, typer.Option(help="Where bench.json and bench.html go.")] = Path("bench"),
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure a whole station on this machine as the line sees it, beside OpenVINO alone.

    A copy of the station runs on scratch data and ports of its own, with cameras that are replayed, a simulated line
    and a broker. Exit 1 when a part was not judged or not told.
    """
    from edge.bench.bench import BenchRequest, run_bench
    from edge.bench.serving import Effort
    from edge.bench.settings import parse_cameras
    from edge.config import chosen_product, load_config
    from models.progress import RichProgress

    checked = load_config(config)
    counts = parse_cameras("1,2" if quick and cameras == "1,2,4" else cameras)
    effort = Effort(parts, seconds or (_QUICK_S if quick else _DEFAULT_S), rate)
    request = BenchRequest(checked, chosen_product(checked, product), counts, effort, out, frames, quick)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with RichProgress() as progress:
            result = run_bench(request, progress)
    except KeyboardInterrupt:
        typer.echo("stopped: everything that was started has ended, nothing was kept", err=True)
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    _say(result, out, as_json)
    if not result.ok:
        raise typer.Exit(EXIT_REFUSED)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _say(result: "BenchResult", out: Path, as_json: bool) -> None:  # noqa: FBT001 - how to say it
    import json

    from edge.bench.page import SHORT_HEAD, SHORT_NOTE, bench_page, short_rows_of

    content = result.as_json()
    try:
        (out / "bench.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (out / "bench.html").write_text(bench_page(result), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"bench: cannot write into {out}: {error.strerror}: name another folder with --out"
        ) from error
    if as_json:
        print_json(content)
        return
    print_table(f"{result.product}: trigger to told, ms", SHORT_HEAD, short_rows_of(result), tight=True)
    typer.echo(SHORT_NOTE)
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{result.verdict}; report: {out / 'bench.html'}")
