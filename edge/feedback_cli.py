"""`edge feedback`. Heavy imports stand inside the command, as in `edge.cli`."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, say

if TYPE_CHECKING:
    from edge.config import StationConfig
    from edge.domain.feedback import SaidBox


def feedback(  # noqa: PLR0913, PLR0917 - a command has its options
    part_id: Annotated[str, typer.Argument(help="The part; its last inspection is meant.")],
    right: Annotated[bool | None, typer.Option("--right/--wrong", help="Whether its verdict was right.")] = None,
    label: Annotated[str, typer.Option(help="What the part really is: good, scratch, ...")] = "",
    note: Annotated[str, typer.Option(help="A word for people.")] = "",
    by: Annotated[str, typer.Option(help="Who says so; you, if left out.")] = "",
    box: Annotated[
        list[str] | None, typer.Option(help="[CAMERA:]CLASS:LEFT,TOP,RIGHT,BOTTOM: where a defect is, in pixels.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Say whether a part's verdict was right; kept and sent to the cloud. Exit 2 for a part that is not on record."""
    from edge.config import load_config
    from edge.domain.feedback import Feedback
    from edge.feedback import keep_feedback
    from edge.masters.store import whoever

    if right is None:
        raise ConfigError("say whether the verdict was --right or --wrong")
    station = load_config(config)
    answer = keep_feedback(station, Feedback(part_id, right, by or whoever(), label, note, _boxes(station, box or [])))
    word = "right" if right else "wrong"
    say(as_json, {"ok": True, **dataclasses.asdict(answer)}, f"{part_id}: {answer.verdict} was {word}, on record")


def _boxes(config: "StationConfig", texts: list[str]) -> "tuple[SaidBox, ...]":
    """From [CAMERA:]CLASS:LEFT,TOP,RIGHT,BOTTOM; the camera may be left out where there is one. Raises ConfigError."""
    from edge.domain.feedback import SaidBox

    found = []
    for text in texts:
        named, _, corners = text.rpartition(":")
        camera, _, label = named.rpartition(":")
        if not camera and len(config.camera) == 1:
            camera = config.camera[0].id
        try:
            left, top, right, bottom = map(float, corners.split(","))
        except ValueError:
            raise ConfigError(f"--box is [CAMERA:]CLASS:LEFT,TOP,RIGHT,BOTTOM in pixels, got {text!r}") from None
        found.append(SaidBox(camera, label, (left, top, right, bottom)))
    return tuple(found)
