"""`edge bundle`: the models on this station. Heavy imports stand inside the commands, as in `edge.cli`."""

from pathlib import Path
from typing import Annotated

import typer

from edge.domain.errors import EXIT_REFUSED
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, LinesOption, print_json, print_table, say

bundle_app = typer.Typer(help="The models on this station.", no_args_is_help=True)


@bundle_app.command("list")
def bundle_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """Every bundle on this station, and which is active."""
    from models.bundle_store import list_bundles

    rows = [
        {"id": found.id, "version": found.version, "path": str(found.path), "active": found.active}
        for found in list_bundles(_store(config))
    ]
    if as_json:
        print_json({"ok": True, "bundles": rows})
    else:
        print_table("bundles", ("id", "version", "path", "active"), [tuple(map(str, row.values())) for row in rows])


@bundle_app.command("verify")
def bundle_verify(
    path: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Check every hash, run the self-test, and read from the compiled graph which kernels really run."""
    from models.bundle import open_bundle
    from models.compile import compile_bundle
    from models.selftest import check_selftest
    from models.verify import verify

    bundle = open_bundle(path)
    check_selftest(bundle, compile_bundle(bundle))
    verified = verify(bundle)
    found = verified.as_json()
    good = verified.int8 > 0 or bundle.precision.value != "INT8" or not verified.cpu_has_vnni
    model = bundle.model_id
    summary = {"id": model.id, "version": model.version, "sha256": model.sha256, "precision": model.precision.value}
    text = [f"{name}: {value}" for name, value in (summary | found).items()]
    say(as_json, {"ok": good} | summary | found, "\n".join(["hashes good, self-test good", *text]))
    if not good:
        raise typer.Exit(EXIT_REFUSED)


@bundle_app.command("import")
def bundle_import(  # noqa: PLR0913, PLR0917 - each is an option of the command
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A model file (.onnx, .xml), or a bundle: its folder or its .bundle file."
        ),
    ],
    head: Annotated[Path | None, typer.Option(help="TOML: what the model's input wants and its outputs mean.")] = None,
    samples: Annotated[Path | None, typer.Option(help="A folder of pictures, of good and bad parts.")] = None,
    bundle_id: Annotated[str, typer.Option("--id", help="The bundle's id; a bundle's own if left out.")] = "",
    activate: Annotated[bool, typer.Option("--activate", help="Make it the active one.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    progress_lines: LinesOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Bring your own model: make a bundle of a detector or anomaly graph, or take a bundle as it is.

    Exit 1 when the sample pictures speak against the head, 2 when the head does not fit what the graph declares.
    """
    from edge.importing import ImportRequest, take_import
    from models.progress import shown_progress

    where = _store(config)
    with shown_progress(as_lines=progress_lines) as progress:
        result = take_import(ImportRequest(source, where, bundle_id, head, samples, activate), progress)
    text = [
        *(f"look at this: {warning}" for warning in result.warnings),
        f"{'active' if result.activated else 'imported'}: {result.bundle.path}",
    ]
    say(as_json, {"ok": True} | result.as_json(), "\n".join(text))


@bundle_app.command("activate")
def bundle_activate(
    bundle_id: Annotated[str, typer.Argument(help="The bundle's id.")],
    version: Annotated[int, typer.Argument(min=1, help="Its version.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Make a version the active one; a running station takes it from a next trigger on, once it is compiled."""
    from models.bundle_store import activate

    path = activate(_store(config), bundle_id, version)
    say(as_json, {"ok": True, "active": str(path)}, f"active: {path}")


@bundle_app.command("rollback")
def bundle_rollback(
    bundle_id: Annotated[str, typer.Argument(help="The bundle's id.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Make the previous version the active one again."""
    from models.bundle_store import rollback

    path = rollback(_store(config), bundle_id)
    say(as_json, {"ok": True, "active": str(path)}, f"active: {path}")


def _store(config: Path) -> Path:
    """Where the station's bundles lie; what a killed import left there is gone."""
    from edge.config import load_config
    from models.bundle_store import clear_unfinished

    root = load_config(config).bundles_dir
    clear_unfinished(root)
    return root
