"""The tables of what triggered, what was trained, what was proven."""

import sqlalchemy as sa

ALL: tuple[sa.Table, ...] = ()
