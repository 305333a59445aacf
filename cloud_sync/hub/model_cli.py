"""`cloud train | evaluate | quantize`: the models' life from the command line. Heavy imports stand inside."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

SAID_NO = 1
WRONG_USAGE = 2
WORLD_FAILED = 3

Data = Annotated[
    Path, typer.Option(help="The labelled images: COCO, Pascal VOC, YOLO, or folders by label with masks.")
]
Out = Annotated[Path, typer.Option(help="The new bundle's folder; .../ID/vN is version N of ID.")]
BundleFolder = Annotated[Path, typer.Option(help="A detector bundle's folder.")]
SplitBy = Annotated[
    str, typer.Option(help="What belongs together: auto, declared, group, twins, or prefix:N of the file name.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, data and threads: same model.")]
TestShare = Annotated[
    float, typer.Option(help="Share of the images that is held out to judge by; half as many choose the threshold.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
KindName = Annotated[Literal["detector"], typer.Option(help="What the model answers.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(evaluate)
    app.command()(quantize)
    app.command()(tune)


def train(  # noqa: PLR0913, PLR0917 - typer makes each option of a command a parameter
    data: Data,
    out: Out,
    kind: KindName = "detector",
    minutes: Annotated[float, typer.Option(min=0.1, help="The training itself takes no longer than about this.")] = 50,
    epochs: Annotated[int | None, typer.Option(min=1, help="Exactly so many, whatever they take.")] = None,
    size: Annotated[
        int | None, typer.Option(min=32, max=2048, help="Longer side of the model's input, px [as the images suggest].")
    ] = None,
    split_by: SplitBy = "auto",
    seed: Seed = 0,
    test_share: TestShare = 0.17,
    cache: Annotated[
        Path | None, typer.Option(help="Checkpoints lie here [INSPECTD_CACHE or ~/.cache/inspectd].")
    ] = None,
    *,
    reference: Annotated[
        bool | None, typer.Option(help="Compare with golden references [where every image has one].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a detector, prove its INT8 form and write it as a bundle; killed, the same words go on where it was."""
    del kind
    with _clear_errors():
        from models.dataset.learnable import Division
        from models.evaluation.result import shown
        from models.training.job import TrainingRequest, run_job

        if not math.isfinite(minutes):
            raise typer.BadParameter(f"expected a number of minutes, got {minutes}", param_hint="--minutes")
        limit = None if epochs is not None else minutes
        where = cache or Path(os.environ.get("INSPECTD_CACHE") or Path.home() / ".cache" / "inspectd")
        division = Division(split_by, seed, test_share)
        request = TrainingRequest(data, out, where, division, reference, limit, epochs, size)
        from models.progress import RichProgress

        with RichProgress() as progress:
            result = run_job(request, progress)
    found, gate = result.detector.evaluation, result.bundle.manifest.gate
    _answer(
        result.as_json(),
        [
            f"bundle {result.bundle.path}: {result.bundle.precision.value}, gate {gate.outcome} ({gate.reason})",
            (
                f"map50 {shown(found.map50)}, pooled_map33 {shown(found.pooled_map33)} "
                f"on {len(found.exam)} held-out images"
            ),
            *found.notes,
            f"report: {result.bundle.path / 'report.html'}",
        ],
        as_json=as_json,
    )


def evaluate(  # noqa: PLR0913, PLR0917 - as `train`
    bundle: BundleFolder,
    data: Data,
    champion: Annotated[Path | None, typer.Option(help="A bundle to compare with, on the same frames.")] = None,
    only: Annotated[str, typer.Option(help="all images, or one split: train, val or test.")] = "all",
    split_by: SplitBy = "auto",
    seed: Seed = 0,
    test_share: TestShare = 0.17,
    report: Annotated[Path | None, typer.Option(help="Write the page with plots here.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure a detector on labelled images; with a champion, exit code 1 if it is proven worse."""
    with _clear_errors():
        from models.dataset.learnable import Division
        from models.evaluation.compare import Answer
        from models.evaluation.job import EvaluationRequest, run_evaluation
        from models.evaluation.result import shown
        from models.progress import RichProgress

        with RichProgress() as progress:
            request = EvaluationRequest(bundle, data, champion, only, Division(split_by, seed, test_share), report)
            result = run_evaluation(request, progress)
    found, at = result.evaluation, result.evaluation.operating
    lines = [
        (
            f"map50 {shown(found.map50)}, map50_95 {shown(found.map50_95)}, pooled_map33 {shown(found.pooled_map33)} "
            f"on {len(found.exam)} images with {found.exam.boxes} boxes"
        ),
        *(f"{name}: AP50 {value:.4f}" for name, value in found.ap50.items()),
        f"at the threshold: boxes missed {at.missed}, escape {at.escape}, overkill {at.overkill}",
        *result.notes,
    ]
    worse = result.comparison is not None and result.comparison.answer is Answer.WORSE
    if result.comparison is not None:
        lines.append(f"against the champion: {result.comparison.answer}, map50 gain {result.comparison.map50_gain}")
    _answer(result.as_json(), lines, as_json=as_json)
    if worse:
        raise typer.Exit(SAID_NO)


def quantize(  # noqa: PLR0913 - as `train`
    bundle: BundleFolder,
    data: Data,
    out: Out,
    split_by: SplitBy = "auto",
    seed: Seed = 0,
    test_share: TestShare = 0.17,
    *,
    other_data: Annotated[
        bool, typer.Option(help="These are not the images the bundle was trained by; none of them was learned from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Quantize a detector's FP32 graph again, through the gate, as a new bundle; exit code 1 if INT8 did not pass."""
    with _clear_errors():
        from models.dataset.learnable import Division
        from models.evaluation.job import QuantizationRequest, run_quantization
        from models.progress import RichProgress
        from models.spec import Precision

        with RichProgress() as progress:
            made, detector = run_quantization(
                QuantizationRequest(bundle, data, out, Division(split_by, seed, test_share), other_data=other_data),
                progress,
            )
    gate, choice = made.manifest.gate, detector.choice
    content: dict[str, object] = {
        "bundle": str(made.path),
        "sha256": made.model_id.sha256,
        "precision": made.precision.value,
        "gate": gate.model_dump(exclude_none=True),
        "speed_ms": {step.value: round(value, 3) for step, value in choice.speed_ms.items()},
        "figures": detector.evaluation.as_json(),
    }
    _answer(content, [f"bundle {made.path}: {made.precision.value}, {gate.outcome}: {gate.reason}"], as_json=as_json)
    if made.precision is not Precision.INT8:
        raise typer.Exit(SAID_NO)


def tune(
    data: Annotated[Path | None, typer.Option(help="Fashion-MNIST [Debian's dataset-fashion-mnist].")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Each short measurement ends after this.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured; medians are compared.")] = 3,
    shown_cpus: Annotated[int, typer.Option(min=1, help="Threads of the oversubscribed default.")] = 48,
    out: Annotated[Path | None, typer.Option(help="Write tune.html, with plot and tables, into this folder.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show on LeNet-5 what threads, cores and BF16 do to training on this machine; the trainer chooses by itself."""
    with _clear_errors():
        from models.progress import RichProgress
        from models.training.tune.fashion import FOLDER
        from models.training.tune.page import summary, write_page
        from models.training.tune.showcase import TuneRequest, measure

        with RichProgress() as progress:
            found = measure(TuneRequest(data or FOLDER, seconds, rounds, shown_cpus), progress)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_page(out / "tune.html", found)
    _answer(found.as_json(), summary(found), as_json=as_json)


def _answer(content: dict[str, object], lines: list[str], *, as_json: bool) -> None:
    typer.echo(json.dumps(content, allow_nan=False) if as_json else "\n".join(lines))


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn the faults that are expected into one line on stderr and an exit code."""
    try:
        from models.dataset.errors import DatasetError
        from models.errors import GateError, ModelError, RequestError
    except ImportError as error:
        _fail(error, WRONG_USAGE)
    try:
        yield
    except (DatasetError, RequestError) as error:
        _fail(error, WRONG_USAGE)
    except GateError as error:
        _fail(error, SAID_NO)
    except (ModelError, OSError) as error:
        _fail(error, WORLD_FAILED)
    except ImportError as error:
        _fail(f"{error}: pip install 'inspectd[train]'", WRONG_USAGE)


def _fail(error: object, code: int) -> None:
    sys.stderr.write(f"cloud: {error}\n")
    raise typer.Exit(code)
