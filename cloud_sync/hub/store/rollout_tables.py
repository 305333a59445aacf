"""The tables of how far each release may go, and how far each station came."""

import sqlalchemy as sa

ALL: tuple[sa.Table, ...] = ()
