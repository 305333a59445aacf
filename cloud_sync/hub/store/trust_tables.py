"""The tables of signed metadata that stations ask for.

`trust_files` holds each version of each role to the byte, as it was signed; every root for good, of the others the
newest, and some before it, for a station that asks while the next is signed.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

trust_files = sa.Table(
    "trust_files",
    metadata,
    sa.Column("role", sa.String(16), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("made_at_ms", sa.BigInteger, nullable=False),
)

ALL = (trust_files,)
