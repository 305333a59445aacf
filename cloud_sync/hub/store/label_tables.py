"""The tables of samples as the trainer sees them, labels, drift."""

import sqlalchemy as sa

ALL: tuple[sa.Table, ...] = ()
