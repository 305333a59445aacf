"""The tables of the store, as they are after the newest step in `migrations`, which make them.

- `records` holds each record once, for good, under its identity (station, epoch, stream, seq), with its exact bytes.
- `quarantine` holds records that came under an identity already taken, with other content.
- `dead_letters` holds messages and records that are not our protocol, once each, with the reason.
- `stations` says when each was heard of, and how many records came again.
- `holdings` counts the records of each station, epoch and stream, in the transaction that adds them.
- `conditions` holds the last that each station said of itself: its state, and how it is.
- `dead_letter_hours` counts what came wrong by station and hour, so that one station cannot fill the disk with it.
- Times are milliseconds since 1970, UTC.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 10

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("epoch", sa.String(32), primary_key=True),
    sa.Column("stream", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("part_id", sa.Text, nullable=False),
    sa.Column("verdict", sa.String(16)),  # of an inspection; what the line was told, of an outcome
    sa.Column("outcome", sa.String(16)),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("epoch", sa.String(32), primary_key=True),
    sa.Column("stream", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),  # of topic and payload
    sa.Column("station", sa.String(63)),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    sa.Index("dead_letters_by_time", "received_at_ms"),
)

stations = sa.Table(
    "stations",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("first_seen_at_ms", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at_ms", sa.BigInteger, nullable=False),
    sa.Column("duplicates", sa.BigInteger, nullable=False),
)

holdings = sa.Table(
    "holdings",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("epoch", sa.String(32), primary_key=True),
    sa.Column("stream", sa.String(32), primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("highest_seq", sa.BigInteger, nullable=False),
    sa.Column("lost", sa.BigInteger, nullable=False),  # what the tombstones among them count
)

conditions = sa.Table(
    "conditions",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("state", sa.String(16)),  # online, offline
    sa.Column("since_ms", sa.BigInteger),  # by our clock
    sa.Column("epoch", sa.String(32)),
    sa.Column("next_seq", sa.BigInteger),
    sa.Column("version", sa.String(64)),
    sa.Column("said_at", sa.String(40)),  # when the station said so, by its own clock
    sa.Column("health", sa.Text),  # the message itself
    sa.Column("health_at_ms", sa.BigInteger),  # by our clock
    sa.Column("resets", sa.BigInteger, nullable=False),  # how often it was told to begin a new epoch
)

dead_letter_hours = sa.Table(
    "dead_letter_hours",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),  # "" where the topic names none
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),  # hours since 1970
    sa.Column("kept", sa.BigInteger, nullable=False),
    sa.Column("kept_bytes", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.BigInteger, nullable=False),
    sa.Index("dead_letter_hours_by_hour", "hour"),
)
