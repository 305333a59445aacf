"""The tables of signed metadata that stations ask for."""

import sqlalchemy as sa

ALL: tuple[sa.Table, ...] = ()
