"""What the cloud commands a station to do at once."""

import sqlalchemy as sa

from cloud_sync.hub.desk import Reply
from cloud_sync.wire import topics
from cloud_sync.wire.messages import CommandMessage

_COUNT = sa.text(
    "INSERT INTO conditions (station, resets) VALUES (:station, 1)"
    " ON CONFLICT (station) DO UPDATE SET resets = conditions.resets + 1"
)


def new_epoch(connection: sa.Connection, station: str, epoch: str) -> Reply:
    """The command to begin a new epoch, counted. Raises SQLAlchemyError."""
    connection.execute(_COUNT, {"station": station})
    return Reply(topics.command(station), CommandMessage(command="new-epoch", epoch=epoch).pack())
