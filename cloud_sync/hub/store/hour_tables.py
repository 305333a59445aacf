"""The table of how parts were judged, hour by hour: what pages draw, counted once, as the records come in.

- `inspection_hours` counts the inspections of each hour by station, product and model, in the transaction that adds
  them. The hour is the station's, by its own clock; one that runs ahead counts in the hour in which its record came.
- Master parts are no production and are not counted. What came before this table was there is not counted either.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.tables import metadata

PRODUCT_MOST = 128
MODEL_MOST = 160
HOUR_MS = 3_600_000

inspection_hours = sa.Table(
    "inspection_hours",
    metadata,
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),  # hours since 1970
    sa.Column("station", sa.String(63), primary_key=True),
    sa.Column("product", sa.String(PRODUCT_MOST), primary_key=True),
    sa.Column("model", sa.String(MODEL_MOST), primary_key=True),  # ID-vN; "" where no model looked
    sa.Column("passed", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("undecided", sa.BigInteger, nullable=False),
    sa.Column("last_at_ms", sa.BigInteger, nullable=False),  # when its newest was made
)

ALL: tuple[sa.Table, ...] = (inspection_hours,)
