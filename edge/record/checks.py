"""How a check of master parts is written and read back: one row, the whole of it as JSON with its hash."""

import sqlite3
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.wire.records import ModelRecord, Sha256, VerdictText, content_hash
from edge.domain.errors import StorageError
from edge.record.database import open_reader


class CheckOutcome(StrEnum):
    """What came of a check of master parts; an incomplete one says nothing of them."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


class MasterRecord(BaseModel):
    """One master part: what was expected of it, and what it got; null where it could not be looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    camera: str
    sha256: Sha256
    expected: Literal["PASS", "REJECT"]
    expected_class: str | None = None
    got: VerdictText | None = None
    reasons: tuple[str, ...] = ()
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    ok: bool = False


class CheckRecord(BaseModel):
    """One check of a product's master parts; `model` is null where none could be run.

    `eyes_sha256` names the rules, picture limits and regions that judged (`edge.masters.eyes`); null: not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspectd.master-check.v1"] = Field("inspectd.master-check.v1", alias="schema")
    station: str
    product: str
    at: datetime
    asked_by: str
    how: Literal["stored", "live"] = "stored"
    model: ModelRecord | None
    recipe_version: str
    eyes_sha256: Sha256 | None = None
    masters: tuple[MasterRecord, ...]
    outcome: CheckOutcome
    why: str
    took_ms: float


def insert_check(connection: sqlite3.Connection, check: CheckRecord) -> int:
    """Write a check; its number holds only once the transaction is committed."""
    payload = check.model_dump_json(by_alias=True).encode()
    values = check.product, check.at.isoformat(), check.outcome.value, content_hash(payload), payload
    query = "INSERT INTO master_checks (product, at, outcome, sha256, payload) VALUES (?, ?, ?, ?, ?)"
    return int(connection.execute(query, values).lastrowid or 0)


def read_checks(
    path: Path, product: str = "", limit: int = 20, before: int | None = None
) -> list[tuple[int, CheckRecord]]:
    """The newest checks with their numbers, newest first, of one product or of all; `before` a number, if given.

    Raises:
        StorageError: the database cannot be read, or a row is not what was written.
    """
    query = (
        "SELECT seq, sha256, payload FROM master_checks WHERE ? IN ('', product) AND seq < ? ORDER BY seq DESC LIMIT ?"
    )
    return _read(path, query, (product, 2**62 if before is None else before, limit))


def find_check(path: Path, number: int) -> CheckRecord | None:
    """One check by its number; None where there is none. Raises StorageError."""
    found = _read(path, "SELECT seq, sha256, payload FROM master_checks WHERE seq = ?", (number,))
    return found[0][1] if found else None


def read_check(path: Path, number: int) -> CheckRecord:
    """One check by its number. Raises StorageError."""
    found = find_check(path, number)
    if found is None:
        raise StorageError(f"{path} holds no check of master parts with number {number}")
    return found


def last_checks(path: Path) -> dict[str, tuple[int, CheckRecord]]:
    """Of each product the last check that came to an end. Raises StorageError."""
    newest = "SELECT max(seq) FROM master_checks WHERE outcome != ? GROUP BY product"
    query = f"SELECT seq, sha256, payload FROM master_checks WHERE seq IN ({newest})"  # noqa: S608 - our own text
    return {check.product: (number, check) for number, check in _read(path, query, (CheckOutcome.INCOMPLETE.value,))}


def _read(path: Path, query: str, values: tuple[object, ...]) -> list[tuple[int, CheckRecord]]:
    connection = open_reader(path)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'master_checks'").fetchone():
            return []  # written by a version that knew no master parts
        rows = connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    finally:
        connection.close()
    return [(number, _parse(path, number, sha256, payload)) for number, sha256, payload in rows]


def _parse(path: Path, number: int, sha256: str, payload: bytes) -> CheckRecord:
    try:
        if content_hash(payload) != sha256:
            raise ValueError("its hash is another")  # noqa: TRY301 - told below
        return CheckRecord.model_validate_json(payload)
    except (ValidationError, ValueError) as error:
        raise StorageError(f"{path}: check {number} of master parts is not what was written: {error}") from error
