"""What a person says of a part is kept: by the daemon that runs, or where none runs by who says it."""

from datetime import UTC, datetime

from cloud_sync.wire.records import inspection_id
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from edge.domain.feedback import Feedback
from edge.line.feedback import give_feedback
from edge.line.protocol import FeedbackAnswer, feedback_line, parse_address, parse_line
from edge.record.feedback import write_feedback
from edge.record.lock import OwnedError, sole_owner
from edge.record.upload_choice import UploadRule


def keep_feedback(config: StationConfig, said: Feedback) -> FeedbackAnswer:
    """Keep it, on disk when this returns.

    Raises:
        ConfigError: no such part is on record, or the station refuses the word.
        OutputError: it is no word of the line port, or the station that runs does not answer.
        StorageError: the disk refuses.
    """
    parse_line(feedback_line(said))  # what the line port would refuse is refused without it too
    strange = sorted({box.camera for box in said.boxes} - {camera.id for camera in config.camera})
    if strange:
        raise ConfigError(f"a box is on a picture of a camera: {', '.join(strange)} is none of this station's")
    if not config.database_path.exists():
        raise _unknown(said.part_id)
    try:
        with sole_owner(config.station.data_dir):
            return _keep_here(config, said)
    except OwnedError:
        return give_feedback(parse_address(config.line.port), said)


def _keep_here(config: StationConfig, said: Feedback) -> FeedbackAnswer:
    rule = UploadRule(config.sync.images, config.sync.audit_share)
    record = write_feedback(config.database_path, config.station.id, said, datetime.now(UTC), rule)
    if record is None:
        raise _unknown(said.part_id)
    identity = inspection_id(record.station, record.inspection_epoch, record.inspection_seq)
    return FeedbackAnswer(said.part_id, record.verdict, identity, record.seq, len(record.boxes))


def _unknown(part_id: str) -> ConfigError:
    return ConfigError(f"no part {part_id!r} is on record here: look at the part id, or it was let go of since")
