"""The tables of files and releases, beside those of records.

- `files` says how far each file came that a station offered; `file_chunks` holds its bytes until it is whole.
- `releases` names content that may be offered, `jobs` says which station was offered what, and how far it came.
- Everything of a file belongs to one station. What another one sends, or claims, touches none of it.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

files = sa.Table(
    "files",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.String(128), nullable=False),
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("camera", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # open, sent, complete, refused
    sa.Column("reason", sa.Text),
    sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
    sa.Index("files_by_state", "state", "station", "changed_at_ms"),
)

file_chunks = sa.Table(
    "file_chunks",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("made_at_ms", sa.BigInteger, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # asked: published and not answered yet; else the station's word
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("offered_at_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
    sa.Column("figures", sa.Text, nullable=False, server_default="{}"),  # what the station counted in this state, JSON
    sa.Column("said_at_ms", sa.BigInteger),  # when it said so, by its own clock
    sa.Column("heard_at_ms", sa.BigInteger),  # by ours
    sa.Index("jobs_by_release", "name", "station", "job"),
)

ALL = (files, file_chunks, releases, jobs)
