"""What pages ask of the store while they are shown, and how the database would find it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from stores import engine

GROWS = (
    *("records", "quarantine", "dead_letters", "dead_letter_hours", "inspection_hours", "arrivals", "samples"),
    *("sample_reasons", "labels", "feedback", "memberships", "files", "jobs", "second_looks", "retraining_runs"),
    *("retraining_steps", "rollouts", "rollout_stations", "rollout_decisions", "drift_signs"),
)
OF_WHAT_IS_WRONG = ("drift_alarms", "arrivals_faulty")  # indexes that hold few rows, whatever the table holds

ROWS_MOST, SHARE_MOST = 2_000, 0.6  # PostgreSQL may look at so many rows of a table, or such a share of it
NEARLY_ALL = ("WHERE arrivals.fault IS NULL",)  # what is true of nearly every row leaves none out


@dataclass(frozen=True)
class Asked:
    """One statement with its values."""

    statement: str
    values: object


@contextmanager
def asking() -> Iterator[list[Asked]]:
    """Everything that is asked of any store meanwhile, each statement once."""
    told: dict[str, Asked] = {}

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE", "DELETE")) and " FROM pg_" not in statement:
            told.setdefault(statement, Asked(statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    found: list[Asked] = []
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
        found += told.values()


def walked_whole(place: str, asked: Sequence[Asked]) -> list[str]:
    """The statements that would read a table that grows from end to end, each with how."""
    with engine(place).connect() as connection:
        walk = _walk_of_postgresql if connection.dialect.name == "postgresql" else _walk_of_sqlite
        return [f"{how}: {one.statement}" for one in asked if (how := walk(connection, one))]


def _walk_of_sqlite(connection: sa.Connection, one: Asked) -> str:
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one.statement}", one.values)
    steps = [str(row[3]) for row in plan]
    steps = [step for step in steps if not step.endswith(OF_WHAT_IS_WRONG)]
    whole = [step for step in steps if (found := re.match(r"SCAN (\w+)", step)) and _grows(one, found[1])]
    sorts = any(step == "USE TEMP B-TREE FOR ORDER BY" for step in steps)
    return "" if _is_bounded(one.statement) and not sorts else "; ".join(whole)


def _grows(one: Asked, name: str) -> bool:
    """Whether a plan's table, or what it is called in the statement, is one that grows."""
    return any(re.search(rf"\b{table}( AS)? {name}\b", one.statement) or name == table for table in GROWS)


def _walk_of_postgresql(connection: sa.Connection, one: Asked) -> str:
    """A table of a few pages it walks rather than its index, and is right: what counts is how many rows it looks at."""
    if not one.statement.startswith(("SELECT", "WITH")):
        return ""
    [[plan]] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {one.statement}", one.values)
    looked = [(node["Relation Name"], _rows(node)) for node in _nodes(plan[0]["Plan"]) if _of_growing(node)]
    return ", ".join(f"{rows} of {table}" for table, rows in looked if rows > _rows_most(connection, table))


def _of_growing(node: dict[str, Any]) -> bool:
    return node.get("Relation Name") in GROWS


def _rows_most(connection: sa.Connection, table: str) -> float:
    held = connection.scalar(sa.text("SELECT reltuples FROM pg_class WHERE relname = :name"), {"name": table})
    return max(ROWS_MOST, SHARE_MOST * (held or 0))


def _rows(node: dict[str, Any]) -> int:
    """All that it looked at."""
    looked = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(looked * node["Actual Loops"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from _nodes(each)


def _is_bounded(statement: str) -> bool:
    """Whether it takes rows as they come, whatever they hold, and stops at a limit."""
    found = re.search(
        r"FROM (\w+)\s+(?:JOIN \w+ ON [^()]*?\s)?(WHERE .*?)?(ORDER BY [^()]*)?LIMIT", statement, re.DOTALL
    )
    return found is not None and (found[2] or "").strip() in {"", *NEARLY_ALL}
