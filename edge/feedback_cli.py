"""`edge feedback`. Heavy imports stand inside the command, as in `edge.cli`."""

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, say

if TYPE_CHECKING:
    from edge.config import StationConfig
    from edge.domain.feedback import Feedback
    from edge.line.protocol import FeedbackAnswer


def feedback(
    part_id: Annotated[str, typer.Argument(help="The part; its last inspection is meant.")],
    right: Annotated[bool | None, typer.Option("--right/--wrong", help="Whether its verdict was right.")] = None,
    label: Annotated[str, typer.Option(help="What the part really is: good, scratch, ...")] = "",
    note: Annotated[str, typer.Option(help="A word for people.")] = "",
    by: Annotated[str, typer.Option(help="Who says so; you, if left out.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Say whether a part's verdict was right; kept and sent to the cloud. Exit 2 for a part that is not on record."""
    from edge.config import load_config
    from edge.domain.feedback import Feedback
    from edge.masters.store import whoever

    if right is None:
        raise ConfigError("say whether the verdict was --right or --wrong")
    said = Feedback(part_id, right, by or whoever(), label, note)
    answer = _keep(load_config(config), said)
    word = "right" if right else "wrong"
    say(as_json, {"ok": True, **dataclasses.asdict(answer)}, f"{part_id}: {answer.verdict} was {word}, on record")


def _keep(config: "StationConfig", said: "Feedback") -> "FeedbackAnswer":
    """The running daemon keeps it, or where none runs this process itself."""
    from edge.line.feedback import give_feedback
    from edge.line.protocol import feedback_line, parse_address, parse_line
    from edge.record.lock import OwnedError, sole_owner

    parse_line(feedback_line(said))  # what the line port would refuse is refused without it too
    if not config.database_path.exists():
        raise _unknown(said.part_id)
    try:
        with sole_owner(config.station.data_dir):
            return _keep_here(config, said)
    except OwnedError:
        return give_feedback(parse_address(config.line.port), said)


def _keep_here(config: "StationConfig", said: "Feedback") -> "FeedbackAnswer":
    from cloud_sync.wire.records import inspection_id
    from edge.line.protocol import FeedbackAnswer
    from edge.record.feedback import write_feedback
    from edge.record.upload_choice import UploadRule

    rule = UploadRule(config.sync.images, config.sync.audit_share)
    record = write_feedback(config.database_path, config.station.id, said, datetime.now(UTC), rule)
    if record is None:
        raise _unknown(said.part_id)
    identity = inspection_id(record.station, record.inspection_epoch, record.inspection_seq)
    return FeedbackAnswer(said.part_id, record.verdict, identity, record.seq)


def _unknown(part_id: str) -> ConfigError:
    return ConfigError(f"no part {part_id!r} is on record here: look at the part id, or it was let go of since")
