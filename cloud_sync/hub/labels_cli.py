"""`cloud labels list | import | export | classes` and `cloud import`. Heavy imports stand inside."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud_sync.hub.errors_said import clear_errors
from cloud_sync.hub.fleet_cli import AsJson, Store, said_json
from cloud_sync.hub.plain import plain
from cloud_sync.hub.release_cli import WRONG_USAGE, Blobs

if TYPE_CHECKING:
    from cloud_sync.hub.files.blobs import Blobs as BlobStore
    from cloud_sync.hub.labels.listing import SampleView

SAID_NO = 1
Product = Annotated[str, typer.Option(help="The product's id, as in the stations' configuration.")]
By = Annotated[str, typer.Option(help="Who says so; you, if left out.")]
OnlyProduct = Annotated[str | None, typer.Option("--product", help="Only this product.")]
OnlyStation = Annotated[str | None, typer.Option("--station", help="Only this station.")]
OnlyReason = Annotated[
    str | None,
    typer.Option(
        "--reason",
        help="Only what was kept for this: uncertain, candidate, disagreement, overruled, novel, audit, imported.",
    ),
]
Unlabelled = Annotated[bool, typer.Option("--unlabelled", help="Only what nobody labelled yet.")]
Conflicts = Annotated[bool, typer.Option("--conflicts", help="Only what people label differently.")]

_labels = typer.Typer(help="What people say of the stations' samples: list, export, import.", no_args_is_help=True)
_HEADINGS = ("sample", "product", "station", "camera", "part", "reasons", "image", "label", "by")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_labels, name="labels")
    app.command("import")(import_folder)


@_labels.command("list")
def list_(
    store: Store,
    product: OnlyProduct = None,
    station: OnlyStation = None,
    reason: OnlyReason = None,
    *,
    unlabelled: Unlabelled = False,
    conflicts: Conflicts = False,
    as_json: AsJson = False,
) -> None:
    """List samples: why each was kept, whether its image is here, what people say. With --json a line for each."""
    with _clear():
        from cloud_sync.hub.labels.listing import Wanted, list_samples
        from cloud_sync.hub.labels.projecting import catch_up
        from cloud_sync.hub.labels.writing import read

        catch_up(store)
        wanted = Wanted(product, station, reason, unlabelled, conflicts)
        with read(store) as connection:
            if not as_json:
                typer.echo("\t".join(_HEADINGS))
            for sample in list_samples(connection, wanted):
                if as_json:
                    said_json(_as_dict(sample))
                else:
                    typer.echo("\t".join(map(plain, _cells(sample))))


@_labels.command("export")
def export(  # noqa: PLR0913 - typer makes each option of a command a parameter
    out: Annotated[Path, typer.Option(help="The folder to make; it must not exist.")],
    product: Product,
    store: Store,
    blobs: Blobs = None,
    station: OnlyStation = None,
    reason: OnlyReason = None,
    *,
    unlabelled: Unlabelled = False,
    conflicts: Conflicts = False,
    as_json: AsJson = False,
) -> None:
    """Write samples as COCO for a labelling tool: images, labels, and the model's boxes to begin with.

    CVAT: make a task of images/default, upload annotations/ or proposals/ as "COCO 1.0". Label Studio: import the
    images and convert the same files. Keep the images' names: an import knows them again by these.
    """
    with _clear():
        from cloud_sync.hub.labels.coco_export import export_coco
        from cloud_sync.hub.labels.listing import Wanted
        from cloud_sync.hub.labels.projecting import catch_up
        from cloud_sync.hub.labels.writing import read

        catch_up(store)
        with read(store) as connection:
            wanted = Wanted(product, station, reason, unlabelled, conflicts)
            done = export_coco(connection, _blobs(store, blobs), wanted, out)
    if as_json:
        said_json({"ok": True, "path": str(out), **asdict(done)})
        return
    typer.echo(f"wrote {out}: {done.images} images, {done.annotations} labels, {done.proposals} proposed boxes")
    if done.waiting:
        typer.echo(f"{done.waiting} samples are left out: their image is not here (yet)")
    for sample in done.unreadable:
        typer.echo(f"left out: the image of sample {sample} is no readable image")


@_labels.command("import")
def import_coco(  # noqa: PLR0913 - typer makes each option of a command a parameter
    file: Annotated[Path, typer.Argument(help="A COCO file, as CVAT or Label Studio exports it.")],
    product: Product,
    store: Store,
    blobs: Blobs = None,
    by: By = "",
    new_class: Annotated[
        list[str] | None, typer.Option(help="A name that is a class of this product from now on; may be repeated.")
    ] = None,
    *,
    empty_is_good: Annotated[
        bool, typer.Option("--empty-is-good", help="An image without annotations is good; else it says nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add the labels of a COCO file: all of them, or none and what is wrong. The same file again adds nothing."""
    with _clear():
        from cloud_sync.hub.labels import coco_import

        request = coco_import.ImportRequest(
            file, product, by or getpass.getuser(), tuple(new_class or ()), empty_is_good, _now_ms()
        )
        done = coco_import.import_coco(store, _blobs(store, blobs), request)
    if as_json:
        said_json({"ok": True, **asdict(done)})
    elif done.again:
        typer.echo(f"{file} was imported before: nothing added")
    else:
        typer.echo(f"{done.added} labels added, {done.unchanged} as they were, {done.silent} images without a label")


@_labels.command()
def classes(
    product: Product,
    store: Store,
    add: Annotated[list[str] | None, typer.Option(help="A name that is a class from now on; may be repeated.")] = None,
    by: By = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Say which classes a product's images may be labelled with; with --add, let there be more."""
    with _clear():
        from cloud_sync.hub.labels.classes import declare_classes, known_classes
        from cloud_sync.hub.labels.writing import read, written

        if add:
            with written(store) as connection:
                declare_classes(connection, product, add, by or getpass.getuser(), _now_ms())
        with read(store) as connection:
            known = known_classes(connection, product)
    if as_json:
        said_json({"product": product, "classes": list(known)})
    else:
        typer.echo("\n".join(known) or f"product {plain(product)} has no class yet")


def import_folder(
    folder: Annotated[Path, typer.Argument(help="Labelled images: COCO, Pascal VOC, YOLO, or folders by label.")],
    product: Product,
    store: Store,
    blobs: Blobs = None,
    by: By = "",
    *,
    keep_splits: Annotated[
        bool,
        typer.Option(
            "--keep-splits",
            help="What the folder calls test is held out for ever; train and val count as learned from.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put labelled images into the store, so that the first training can begin. The same images again add nothing."""
    with _clear():
        from cloud_sync.hub.labels.history import HistoryRequest, import_history

        request = HistoryRequest(folder, product, by or getpass.getuser(), _now_ms(), keep_splits)
        done = import_history(store, _blobs(store, blobs), request)
    if as_json:
        said_json({"ok": True, **asdict(done)})
        return
    kept = f"; {done.kept} were labelled otherwise since, and stay so" if done.kept else ""
    typer.echo(f"{done.images} images, {done.added} labels added{kept}")


@contextmanager
def _clear() -> Iterator[None]:
    """As everywhere; what cannot be imported or exported as it is given is wrong usage."""
    from cloud_sync.hub.labels.errors import LabelError
    from models.dataset.errors import DatasetError

    with clear_errors():
        try:
            yield
        except (LabelError, DatasetError) as error:
            typer.echo(f"cloud: {error}", err=True)
            raise typer.Exit(WRONG_USAGE) from error


def _blobs(store: str, blobs: str | None) -> "BlobStore":
    from cloud_sync.hub.files.blobs import open_blobs
    from cloud_sync.hub.files.file_desks import blobs_beside

    return open_blobs(blobs or blobs_beside(store))


def _cells(sample: "SampleView") -> tuple[str, ...]:
    said = "-" if sample.truth is None else ", ".join(sample.truth.names) or sample.truth.says
    return (
        sample.id,
        sample.product,
        sample.station or "-",
        sample.camera or "-",
        sample.part_id or "-",
        ",".join(sample.reasons),
        sample.image,
        said + (" (in conflict)" if sample.conflict else ""),
        f"{sample.by} ({sample.source})" if sample.by else "-",
    )


def _as_dict(sample: "SampleView") -> dict[str, Any]:
    names = ("id", "product", "station", "epoch", "seq", "camera", "part_id", "sha256", "image", "at_ms", "label")
    content: dict[str, Any] = {name: getattr(sample, name) for name in names}
    truth = sample.truth
    said = None if truth is None else {"says": truth.says, "classes": truth.names, "boxes": _boxes(sample)}
    content |= {"reasons": sample.reasons, "said": said, "source": sample.source, "by": sample.by}
    return content | {"conflict": sample.conflict, "operators": [asdict(word) for word in sample.words]}


def _boxes(sample: "SampleView") -> list[list[object]]:
    return [[box.name, *box.corners_px] for box in sample.truth.boxes] if sample.truth else []


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
