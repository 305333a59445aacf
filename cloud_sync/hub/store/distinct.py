"""The values of a column, each by one look into an index, however many rows have it."""

from collections.abc import Collection

import sqlalchemy as sa


def values_of(
    column: sa.ColumnElement[str], name: str, conditions: Collection[sa.ColumnElement[bool]] = ()
) -> sa.Subquery:
    """A subquery with each value once, in order, as its column `name`.

    Args:
        column: an index has it first, or after the columns that the conditions name.
        name: of the subquery's column; queries that use several name them apart.
        conditions: which rows.
    """
    least = sa.select(sa.func.min(column).label(name)).where(*conditions)
    walk = least.cte(f"walk_{name}", recursive=True)
    beyond = least.where(column > walk.c[name]).correlate(walk).scalar_subquery()
    walk = walk.union_all(sa.select(beyond).where(walk.c[name].is_not(None)))
    return sa.select(walk.c[name]).where(walk.c[name].is_not(None)).subquery()
