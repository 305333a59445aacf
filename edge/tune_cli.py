"""`edge tune`: how this machine runs this station's models best. Heavy imports stand inside, as in `edge.cli`."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import EXIT_REFUSED, ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from edge.calibrate.tuning.facts import TuneLimits
    from edge.calibrate.tuning.tuned import Planning, Tuned

_THOROUGH_S = 120.0


def tune(  # noqa: PLR0913, PLR0917 - each is an option of the command
    product: Annotated[str, typer.Option(help="Which product of station.toml; the only one if left out.")] = "",
    frames: Annotated[
        Path | None, typer.Option("--from", help="A folder of the cameras' images; else the bundle's own are taken.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long to measure, about.")] = 25,
    thorough: Annotated[bool, typer.Option("--thorough", help="Two minutes, for surer figures.")] = False,  # noqa: FBT002
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with tables and plots here.")] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Leave out what fits the machine.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure only; the plan is not kept.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure how this machine runs a product's model best, keep it for the daemon's next start, and say what fits.

    Threads, streams, requests and pinning, in the whole station, beside OpenVINO's own hints; then parts a minute by
    number of cameras, and what more cores give. Run it under the quota the daemon has, and while the daemon is stopped.
    Exit 1 when no plan holds line.deadline_ms.
    """
    from edge.calibrate.tuning.facts import TuneLimits

    if report is not None and find_spec("matplotlib") is None:
        raise ConfigError("--report draws plots, and matplotlib is not here: pip install 'inspectd[calibrate]'")
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigError(f"--report {report}: its folder is not there: make it first")
    limits = TuneLimits(_THOROUGH_S if thorough else seconds, planning=not plan_only)
    tuned = _measure(config, product, frames, limits)
    kept = None if dry_run else tuned.keep(datetime.now(UTC))
    if report is not None:
        _write_report(report, tuned)
    if as_json:
        print_json({"ok": tuned.fits, "kept": None if kept is None else str(kept)} | tuned.as_json())
    else:
        _tell(tuned, kept)
    if not tuned.fits:
        raise typer.Exit(EXIT_REFUSED)


def _measure(config: Path, product: str, frames: Path | None, limits: "TuneLimits") -> "Tuned":
    from edge.calibrate.tuning.facts import station_facts
    from edge.calibrate.tuning.tune import tune as measure
    from edge.config import load_config
    from edge.logs import configure_logs
    from models.bundle import open_for_line
    from models.bundle_store import active_bundle
    from models.progress import RichProgress

    configure_logs(as_json=False)
    checked = load_config(config)
    known = {section.id: section for section in checked.product}
    chosen = product or next(iter(known))
    if chosen not in known or (not product and len(known) > 1):
        raise ConfigError(f"--product must be one of {', '.join(sorted(known))}, got {product!r}")
    bundle = open_for_line(active_bundle(checked.bundles_dir, known[chosen].bundle))
    facts = station_facts(checked, known[chosen], bundle, frames)
    with RichProgress() as progress:
        return measure(bundle, facts, limits, progress)


def _write_report(path: Path, tuned: "Tuned") -> None:
    from edge.calibrate.tuning.section import TITLE, section
    from edge.domain.errors import StorageError
    from models import page

    title = f"How this machine runs {tuned.model.id} v{tuned.model.version}"
    try:
        path.write_text(page.page(title, page.section(TITLE, section(tuned))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _tell(tuned: "Tuned", kept: Path | None) -> None:
    from edge.calibrate.tuning.tuned import HEAD

    print_table(f"the whole station, {tuned.grant}", HEAD, tuned.rows(tuned.rehearsed))
    print_table("the model alone, letterboxing included", HEAD, tuned.rows(tuned.searched))
    if tuned.planning is not None:
        _tell_planning(tuned.planning)
    typer.echo(f"best: {tuned.plan}: {tuned.parts_per_s:.1f} parts/s: {tuned.compared}")
    for note in tuned.notes:
        typer.echo(f"note: {note}")
    typer.echo("not kept" if kept is None else f"kept: {kept}; the daemon takes it at its next start")


def _tell_planning(planning: "Planning") -> None:
    from edge.calibrate.tuning.planning import beyond

    rooms = [
        (str(one.cameras), f"{one.most_per_minute:.0f}", f"{one.advised_per_minute:.0f}", f"{one.p99_ms:.0f}")
        for one in planning.rooms
    ]
    print_table("what fits, whole station", ("cameras", "parts/min at most", "advised, 80 %", "p99 ms"), rooms)
    cores = [
        (str(one.way.cores), one.way.name, f"{one.parts_per_s:.1f}", f"{one.p99_ms:.0f}") for one in planning.scaled
    ]
    print_table("the model on fewer cores", ("cores", "way", "parts/s", "p99 ms"), cores)
    guesses, basis = beyond(planning.scaled)
    for guess in guesses:
        typer.echo(f"{guess.cores} cores, reckoned and not measured: {guess.low:g} to {guess.high:g} times these")
    typer.echo(f"reckoned {basis}")
