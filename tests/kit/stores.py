"""A look into a store past our own code, whichever database it is."""

import sqlalchemy as sa


def engine(place: str) -> sa.Engine:
    return sa.create_engine(place if "://" in place else f"sqlite:///{place}", poolclass=sa.NullPool)


def ask(place: str, query: str) -> list[tuple[object, ...]]:
    """The rows that a query finds, in a fixed order."""
    with engine(place).connect() as connection:
        return sorted((tuple(row) for row in connection.execute(sa.text(query))), key=repr)


def everything(place: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, to the byte."""
    with engine(place).connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
    return {name: ask(place, f"SELECT * FROM {name}") for name in tables}  # noqa: S608 - our own tables
