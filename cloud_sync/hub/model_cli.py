"""`cloud train | evaluate | quantize`: the models' life from the command line. Heavy imports stand inside."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from cloud_sync.hub.model_kinds import Said

SAID_NO = 1
WRONG_USAGE = 2
WORLD_FAILED = 3

Data = Annotated[
    Path, typer.Option(help="The labelled images: COCO, Pascal VOC, YOLO, or folders by label with masks.")
]
Out = Annotated[Path, typer.Option(help="The new bundle's folder; .../ID/vN is version N of ID.")]
BundleFolder = Annotated[Path, typer.Option(help="A bundle's folder.")]
SplitBy = Annotated[
    str, typer.Option(help="What belongs together: auto, declared, group, twins, or prefix:N of the file name.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, data and threads: same model.")]
TestShare = Annotated[
    float,
    typer.Option(
        help="Share of the images held out to judge by; half as many choose the threshold, for anomaly as many."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
KindName = Annotated[Literal["detector", "classifier", "anomaly"], typer.Option(help="What the model answers.")]
Method = Annotated[
    Literal["probe", "finetune"] | None,
    typer.Option(
        help="Of a classifier: a linear head on a frozen network, without torch (left out: this), or all learns."
    ),
]
DEFAULT_MINUTES = 50.0


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
    method: Method = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="The training itself takes no longer than about this (left out: 50).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Exactly so many, whatever they take.")] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=2048,
            help="Longer side of the input, px; for anomaly of a square as large (left out: as the images suggest).",
        ),
    ] = None,
    overkill: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.5,
            help="Of a probe: the share of good images it may reject, 95 % sure (left out: fewest mistakes).",
        ),
    ] = None,
    split_by: SplitBy = "auto",
    seed: Seed = 0,
    test_share: TestShare = 0.17,
    cache: Annotated[
        Path | None, typer.Option(help="Checkpoints lie here (left out: INSPECTD_CACHE, or ~/.cache/inspectd).")
    ] = None,
    *,
    reference: Annotated[
        bool | None, typer.Option(help="Compare with golden references (left out: where every image has one).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model, prove its INT8 form and write it as a bundle; killed, the same words go on where it was."""
    with _clear_errors():
        from cloud_sync.hub import model_kinds
        from models.dataset.learnable import Division

        if minutes is not None and not math.isfinite(minutes):
            raise typer.BadParameter(f"expected a number of minutes, got {minutes}", param_hint="--minutes")
        steps = kind == "detector" or method == "finetune"
        _refuse("--method", method, kind == "classifier", "only a classifier has methods")
        _refuse("--reference", reference, kind == "detector", "only a detector compares with references")
        _refuse("--overkill", overkill, kind == "classifier" and not steps, "only a probe's threshold goes by it")
        for option, value in (("--minutes", minutes), ("--epochs", epochs), ("--cache", cache)):
            _refuse(option, value, steps, "only a detector and --method finetune train in steps: leave it out")
        where = cache or Path(os.environ.get("INSPECTD_CACHE") or Path.home() / ".cache" / "inspectd")
        limit = None if epochs is not None else minutes or DEFAULT_MINUTES
        division = Division(split_by, seed, test_share)
        wish = model_kinds.Wish(data, out, where, division, reference, limit, epochs, size, overkill)
        said = model_kinds.TRAINERS[kind, (method or "probe") if kind == "classifier" else ""](wish)
    _answer(said, as_json=as_json)


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
    promote: Annotated[
        bool, typer.Option(help="Judge as before a rollout, on the images declared as test; exit code 1 for a no.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled images; with a champion, exit code 1 if it is proven worse.

    With --promote it is asked whether it may take the champion's place, which may be of another kind: no more defects
    pass in any class, overkill stays in its limit, and there is a reason to change.
    """
    with _clear_errors():
        from cloud_sync.hub import model_kinds
        from models.dataset.learnable import Division
        from models.evaluation.job import EvaluationRequest

        request = EvaluationRequest(bundle, data, champion, only, Division(split_by, seed, test_share), report)
        evaluator = model_kinds.promote if promote else model_kinds.pick(model_kinds.EVALUATORS, bundle, "evaluate")
        said = evaluator(request)
    _answer(said, as_json=as_json)


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
    """Quantize a model's FP32 graph again, through the gate, as a new bundle; exit code 1 if INT8 did not pass."""
    with _clear_errors():
        from cloud_sync.hub import model_kinds
        from models.dataset.learnable import Division
        from models.evaluation.job import QuantizationRequest

        request = QuantizationRequest(bundle, data, out, Division(split_by, seed, test_share), other_data=other_data)
        said = model_kinds.pick(model_kinds.QUANTIZERS, bundle, "quantize")(request)
    _answer(said, as_json=as_json)


def tune(
    data: Annotated[Path | None, typer.Option(help="Fashion-MNIST (left out: Debian's dataset-fashion-mnist).")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Each short measurement ends after this.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured; medians are compared.")] = 3,
    shown_cpus: Annotated[int, typer.Option(min=1, help="Threads of the oversubscribed default.")] = 48,
    out: Annotated[Path | None, typer.Option(help="Write tune.html, with plot and tables, into this folder.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show on LeNet-5 what threads, cores and BF16 do to training on this machine; the trainer chooses by itself."""
    with _clear_errors():
        from cloud_sync.hub.model_kinds import Said
        from models.progress import RichProgress
        from models.training.tune.fashion import FOLDER
        from models.training.tune.page import summary, write_page
        from models.training.tune.showcase import TuneRequest, measure

        with RichProgress() as progress:
            found = measure(TuneRequest(data or FOLDER, seconds, rounds, shown_cpus), progress)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_page(out / "tune.html", found)
    _answer(Said(found.as_json(), summary(found)), as_json=as_json)


def _refuse(option: str, value: object, applies: bool, why: str) -> None:  # noqa: FBT001 - does it apply is what is said
    """An option that means nothing here is a mistake of whoever gave it, not something to swallow."""
    if value is not None and not applies:
        raise typer.BadParameter(why, param_hint=option)


def _answer(said: "Said", *, as_json: bool) -> None:
    typer.echo(json.dumps(said.content, allow_nan=False) if as_json else "\n".join(said.lines))
    if said.no:
        raise typer.Exit(SAID_NO)


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
