"""`edge config`: what station.toml says, whether it is right, and what it may say. Heavy imports stand inside."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, say

config_app = typer.Typer(help="Check and show what station.toml says.", no_args_is_help=True)


@config_app.command("check")
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """Read station.toml and say everything that is wrong with it; nothing is opened."""
    from edge.capture.codes.desk import code_rules
    from edge.capture.open import make_camera
    from edge.capture.scales import scales_of
    from edge.config import load_config
    from edge.line.outputs.open import make_output
    from edge.line.protocol import parse_address

    checked = load_config(config)
    parse_address(checked.line.port)
    for camera in checked.camera:
        make_camera(camera)
    code_rules(checked)
    for product in checked.product:
        scales_of(checked, product)
    for output in checked.output:
        make_output(output, checked.station.id)
    summary: dict[str, object] = {
        "ok": True,
        "station": checked.station.id,
        "cameras": [camera.id for camera in checked.camera],
        "products": [product.id for product in checked.product],
        "outputs": [output.id for output in checked.output],
    }
    say(as_json, summary, f"{config} is good: {summary}")


@config_app.command("show")
def show(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """Everything the station would go by, what was left out filled in, paths whole, and no password."""
    from edge.capture.scales import known_scales
    from edge.config import load_config
    from edge.domain.secrets import redacted

    checked = load_config(config)
    content = checked.model_dump(mode="json")
    for product, section in zip(content["product"], checked.product, strict=True):
        if section.recipe.wants_scale and len(kept := set(known_scales(checked).values())) == 1:
            product["recipe"]["mm_per_px"] = kept.pop()
    for camera in content["camera"]:
        camera["source"] = redacted(camera["source"]) if isinstance(camera["source"], str) else camera["source"]
    if as_json:
        print_json(content)
    else:
        typer.echo(json.dumps(content, indent=2))


@config_app.command("schema")
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it there, for a `#:schema` line to name.")] = None,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """The JSON Schema of station.toml, for editors that complete, explain and check while one types.

    `edge init` puts it beside station.toml, where Even Better TOML (VS Code) and taplo find it.
    """
    from edge.config_schema import station_schema, write_schema

    if out is not None:
        write_schema(out)
        say(as_json, {"ok": True, "path": str(out)}, f"wrote {out}")
        return
    content = station_schema()
    if as_json:
        print_json(content)
    else:
        typer.echo(json.dumps(content, indent=2))
