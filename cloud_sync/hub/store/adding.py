"""Rows that may be there already, written by us before or by another collector at this moment."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def add_absent(connection: sa.Connection, table: sa.Table, row: Mapping[str, object]) -> None:
    """Add a row unless there is one under its primary key; that one stays as it is."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).on_conflict_do_nothing(), row)
