"""`edge calibrate`: what a line engineer asks for, and what came of it."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import EXIT_INTERRUPTED, EXIT_REFUSED, ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, LinesOption, say

if TYPE_CHECKING:
    from edge.calibrate.asked import Asked, Place
    from edge.calibrate.frames.cropping import Cropping
    from edge.calibrate.releases.release import ReleaseRequest
    from edge.calibrate.request import CalibrationRequest
    from edge.calibrate.result import CalibrationResult
    from edge.config import ProductSection, StationConfig
    from models.progress import LineProgress, RichProgress

_NOT_RESUMED = frozenset({"--resume", "--product", "--config", "--json"})
_HOW_SAID = "progress_lines"  # nothing of what was done: the report does not name it
_OPTIONS = {"frames": "from", "as_json": "json"}


def calibrate(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    product: Annotated[str, typer.Option(help="Which product of station.toml; the only one if left out.")] = "",
    frames: Annotated[
        Path | None, typer.Option("--from", help="A folder of images of good parts; `frames` if left out.")
    ] = None,
    live: Annotated[
        int, typer.Option(min=0, help="Take so many frames with the camera now, each of another good part.")
    ] = 0,
    interval_ms: Annotated[float, typer.Option(min=0, help="At least so long between two live frames.")] = 0,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Live: the part is changed by hand.")] = False,  # noqa: FBT002
    every_frame: Annotated[bool, typer.Option("--every-frame", help="Live: each frame is another part.")] = False,  # noqa: FBT002
    limit_s: Annotated[float, typer.Option(min=1, help="Live: give up after so long; what came is kept.")] = 600,
    defects: Annotated[
        Path | None, typer.Option(help="A folder of images of bad parts, or one folder for each kind of defect.")
    ] = None,
    repeats: Annotated[
        Path | None, typer.Option(help="A folder of the same parts' pictures again and again: PART-REPEAT.png.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Take this released bundle instead of learning one.")] = None,
    quantize: Annotated[bool, typer.Option("--quantize", help="Put a released float graph into INT8 here.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    overkill: Annotated[float, typer.Option(help="Good parts that may be rejected, as a rate.")] = 0.02,
    confidence: Annotated[float, typer.Option(help="How sure that rate must be.")] = 0.95,
    escape: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Bad parts that may pass, as a rate; else it is not activated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same split.")] = 0,
    camera: Annotated[str, typer.Option(help="Whose frames these are, for its checks; the only one if left out.")] = "",
    checks_only: Annotated[bool, typer.Option("--checks-only", help="Learn the camera's checks, no model.")] = False,  # noqa: FBT002
    fast: Annotated[bool, typer.Option("--fast", help="From fewer frames, for a first look.")] = False,  # noqa: FBT002
    align: Annotated[bool, typer.Option("--align", help="Lay each part on a reference first.")] = False,  # noqa: FBT002
    tune_s: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to look for the best threads and streams; 0: leave it.")
    ] = 25,
    study: Annotated[bool, typer.Option(help="Look at the same parts again and again, as a gauge study.")] = True,  # noqa: FBT002
    activate: Annotated[bool, typer.Option(help="Make the bundle the active one.")] = True,  # noqa: FBT002 - a flag
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a calibration that was interrupted.")] = False,  # noqa: FBT002
    anew: Annotated[bool, typer.Option("--anew", help="Throw an interrupted calibration away.")] = False,  # noqa: FBT002
    progress_lines: LinesOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Learn a product from good parts: collect, fit, quantize, threshold, tune, report, activate.

    Interrupted anywhere, --resume goes on; what is active stays active until the end. With --bundle, take a released
    bundle as it is: verify, self-test, measure, try on good parts if --from names some, import, activate. Exit 1, and
    not activated, when the good parts show more overkill than asked.
    """
    from edge.calibrate.asked import Asked, Live, Place, Sure, Trials
    from edge.calibrate.pictures import checks_target
    from edge.config import load_config

    checked, how = load_config(config), _How(as_json, progress_lines)
    section = _product(checked, product)
    if resume:
        _refuse_others(context)
        _resume(checked, section, how)
        return
    asked = Asked(
        frames=frames,
        defects=defects,
        bundle=bundle,
        live=Live(live, interval_ms, limit_s, by_hand=by_hand, every_frame=every_frame),
        sure=Sure(overkill, confidence, escape, seed),
        trials=Trials(repeats, tune_s, fast=fast, study=study),
        quantize=quantize,
        checks_only=checks_only,
        align=align,
        activate=activate,
        anew=anew,
    )
    asked.check()
    _begin(Place(checked, section, checks_target(checked, section.id, camera), _given(context)), asked, how)


@dataclass(frozen=True, slots=True)
class _How:
    """How it is said what came of it, and how far it is."""

    as_json: bool
    progress_lines: bool

    def progress(self) -> "LineProgress | RichProgress":
        """For people, or for a program."""
        from models.progress import shown_progress

        return shown_progress(as_lines=self.progress_lines)


def _begin(place: "Place", asked: "Asked", how: _How) -> None:
    """The camera's checks alone, a release, or a product that is learned."""
    from edge.calibrate.asked import FRAMES, learning_request, release_request

    if asked.checks_only:
        _learn_checks(place, asked.frames or FRAMES, how)
        return
    _check_extra()
    if asked.bundle is not None:
        _take_release(place, release_request(place, asked, asked.bundle), how)
    else:
        _learn_product(learning_request(place, asked), place.config, how, anew=asked.anew)


def _product(config: "StationConfig", wanted: str) -> "ProductSection":
    known = {section.id: section for section in config.product}
    chosen = wanted or next(iter(known))
    if chosen not in known or (not wanted and len(known) > 1):
        raise ConfigError(f"--product must be one of {', '.join(sorted(known))}, got {wanted!r}")
    return known[chosen]


def _refuse_others(context: typer.Context) -> None:
    """A resumed calibration goes on as it was asked for: another option would change what is finished already."""
    named = ", ".join(name for name, _ in _given(context) if name not in _NOT_RESUMED)
    if named:
        raise ConfigError(f"--resume goes on as the calibration was started: leave out {named}, or start with --anew")


def _given(context: typer.Context) -> tuple[tuple[str, str], ...]:
    """Names and values of the options that stood on the command line; a switch has no value."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = (name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE")
    names = sorted(name for name in given if name != _HOW_SAID)
    return tuple((f"--{_OPTIONS.get(name, name.replace('_', '-'))}", _value(context.params[name])) for name in names)


def _value(given: object) -> str:
    return ("" if given else "no") if isinstance(given, bool) else str(given)


def _resume(config: "StationConfig", section: "ProductSection", how: "_How") -> None:
    _check_extra()
    from edge.calibrate.calibrate import unfinished

    request = unfinished(config.bundles_dir, section.bundle)
    if request.section.id != section.id:
        raise ConfigError(
            f"--resume: the interrupted calibration of bundle {section.bundle!r} is of product "
            f"{request.section.id!r}: name that one with --product, or start with --anew"
        )
    request = replace(request, product=section)  # a draft is tried by the rules that will judge with it
    _learn_product(request, config, how, resume=True)


@contextlib.contextmanager
def _cropping(place: "Place") -> "Iterator[Cropping | None]":
    """How pictures are cut; the cut ones lie in a folder of this run alone, beside any calibration that runs too."""
    from edge.calibrate.frames.cropping import cropping_of
    from edge.calibrate.request import work_folder
    from models.scratch import CROPPED, scratch_folder, sweep

    known = {} if place.checks is None else {section.id: section for section in place.config.camera}
    section = None if place.checks is None else known[place.checks.camera]
    if section is None or section.roi is None:
        yield None
        return
    beside = work_folder(place.config.bundles_dir, place.product.bundle).parent
    beside.mkdir(parents=True, exist_ok=True)
    sweep(beside)
    with scratch_folder(beside, CROPPED) as folder:
        yield cropping_of(section, folder)


def _learn_checks(place: "Place", frames: Path, how: "_How") -> None:
    from edge.calibrate.pictures import only_checks

    if place.checks is None:
        raise ConfigError("the station has several cameras: name the one these frames are from with --camera")
    with _cropping(place) as cropping, how.progress() as progress:
        learned = only_checks(place.checks, frames, progress, cropping=cropping)
    say(how.as_json, {"ok": True, "checks": learned.as_json()}, learned.summary)


def _check_extra() -> None:
    """Refuse in one line where only what a running station needs is installed. Raises ConfigError."""
    missing = [name for name in ("matplotlib", "nncf", "scipy", "sklearn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"edge calibrate needs {', '.join(missing)}: pip install 'inspectd[calibrate]'")


def _learn_product(
    request: "CalibrationRequest",
    config: "StationConfig",
    how: "_How",
    *,
    resume: bool = False,
    anew: bool = False,
) -> None:
    from edge.calibrate.calibrate import calibrate as run_calibration

    try:
        with how.progress() as progress:
            result = run_calibration(request, progress, config, resume=resume, anew=anew)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was active still is. `edge calibrate --resume` goes on\n")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    say(how.as_json, {"ok": not result.tried.against} | result.as_json(), "\n".join(_said(result)))
    if result.tried.against:
        raise typer.Exit(EXIT_REFUSED)


def _said(result: "CalibrationResult") -> list[str]:
    proof = result.threshold
    return [
        *([f"already finished: {', '.join(result.reused)}"] if result.reused else []),
        f"runs as {result.precision.value}; INT8 gate: {result.gate.outcome.value}: {result.gate.reason}",
        f"overkill proven: at most {proof.proven_rate:.2%} at {proof.confidence:.0%} ({proof.held_out} held-out parts)",
        f"overkill asked: {proof.target_rate:.2%}, which needs {proof.needed} held-out good parts",
        *(
            [f"{result.misaligned} good frames cannot be laid on the reference, they would be UNDECIDED besides"]
            if result.misaligned
            else []
        ),
        *(f"looks like no other good part, not learned from: {name}" for name in result.left_out),
        *(f"far above all other good parts, counts for the threshold: {name}: a bad part?" for name in result.doubtful),
        *([result.advice] if result.advice else []),
        result.checks.summary if result.checks else "checks not learned: name the frames' camera with --camera",
        *([f"not activated: {result.tried.against}"] if result.tried.against else []),
        f"{'active' if result.activated else 'not active'}: {result.bundle}",
        f"report: {result.report}",
    ]


def _take_release(place: "Place", request: "ReleaseRequest", how: "_How") -> None:
    from edge.calibrate.releases.release import take_release
    from edge.calibrate.report.release import REPORT

    with _cropping(place) as cropping, how.progress() as progress:
        result = take_release(replace(request, cropping=cropping), progress, place.config)
    taken = result.bundle
    text = [
        f"self-test good; milliseconds per frame: {result.speed_ms}",
        result.verdict,
        *([result.quantized] if result.quantized else []),
        *([result.checks.summary] if result.checks else []),
        f"{'active' if result.activated else 'imported'}: {taken.path}",
        f"report: {taken.path / REPORT}",
    ]
    say(how.as_json, {"ok": not result.tried.against} | result.as_json(), "\n".join(text))
    if result.tried.against:
        raise typer.Exit(EXIT_REFUSED)
