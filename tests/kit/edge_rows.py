"""Reading a station's database in tests."""

from contextlib import closing
from pathlib import Path

from edge.record.database import open_reader


def rows(path: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    """What a query finds."""
    with closing(open_reader(path)) as reader:
        return reader.execute(query, values).fetchall()
