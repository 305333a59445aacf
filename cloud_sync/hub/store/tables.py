"""The tables of the store, version 1.

- `records` holds each record once, for good, under its identity (station, epoch, stream, seq), with its exact bytes.
- `quarantine` holds records that came under an identity already taken, with other content.
- `dead_letters` holds messages and records that are not our protocol, once each, with the reason.
- `stations` says when each was heard of, and how many records came again.
- Times are milliseconds since 1970, UTC.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 1

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
)

stations = sa.Table(
    "stations",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("first_seen_at_ms", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at_ms", sa.BigInteger, nullable=False),
    sa.Column("duplicates", sa.BigInteger, nullable=False),
)
