"""What the authority has issued and to whom, and which tokens are out: one SQLite file, safe for several processes.

Tokens stand in it as hashes only. Every change is one transaction that holds the file's write lock from its first
word, so that two requests with one token are decided one after the other.
"""

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from cloud_sync.hub.pki.authority import Kind, Revoked
from cloud_sync.hub.pki.errors import PkiError
from cloud_sync.wire.certificates import certificate_pem, common_name, public_bytes
from cloud_sync.wire.whole_file import leave_to_owner

_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tokens (
    secret_sha256 TEXT PRIMARY KEY, station TEXT NOT NULL, made_at REAL NOT NULL, expires_at REAL NOT NULL,
    used_at REAL, serial TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, key_sha256 TEXT NOT NULL,
    issued_at REAL NOT NULL, not_after REAL NOT NULL, pem BLOB NOT NULL, revoked_at REAL, why TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS certificates_by_name ON certificates (name);
CREATE TABLE IF NOT EXISTS lists (number INTEGER PRIMARY KEY AUTOINCREMENT, written_at REAL NOT NULL) STRICT;
"""
_COLUMNS = "serial, name, kind, issued_at, not_after, revoked_at, why, key_sha256, pem"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was issued; times in seconds since 1970."""

    serial: str
    name: str
    kind: Kind
    issued_at: float
    not_after: float
    revoked_at: float | None
    why: str | None
    key_sha256: str
    pem: bytes

    def is_live(self, now_s: float) -> bool:
        """Neither revoked nor over."""
        return self.revoked_at is None and self.not_after > now_s


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token that is out, or was used; times in seconds since 1970."""

    station: str
    made_at: float
    expires_at: float
    used_at: float | None
    serial: str | None


class Register:
    """The register's file; opened anew for each question, so any thread and process may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make the file, for its owner alone. Raises PkiError."""
        self._path.touch(mode=0o600)
        leave_to_owner(self._path)
        with self.changing() as ledger:
            ledger.run_script(_SCHEMA)

    @contextmanager
    def changing(self) -> Iterator["Ledger"]:
        """A transaction with the write lock; kept if the block ends well. Raises PkiError where the file refuses."""
        if not self._path.exists():
            raise PkiError(f"{self._path} is not there: `cloud pki init` makes it")
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield Ledger(connection)
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        except sqlite3.Error as error:
            raise PkiError(f"{self._path} refuses: {error}") from error


class Ledger:
    """The register inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run_script(self, script: str) -> None:
        """Make the tables."""
        for statement in script.split(";"):
            self._connection.execute(statement)

    def add_token(self, secret: str, station: str, now_s: float, expires_s: float) -> None:
        """A token is out."""
        row = (secret_sha256(secret), station, now_s, expires_s)
        self._connection.execute(
            "INSERT INTO tokens (secret_sha256, station, made_at, expires_at) VALUES (?, ?, ?, ?)", row
        )

    def token(self, secret: str) -> KeptToken | None:
        """The token with this secret."""
        row = self._connection.execute(
            "SELECT station, made_at, expires_at, used_at, serial FROM tokens WHERE secret_sha256 = ?",
            (secret_sha256(secret),),
        ).fetchone()
        return None if row is None else KeptToken(*row)

    def use_token(self, secret: str, serial: str, now_s: float) -> None:
        """It was used for this certificate."""
        self._connection.execute(
            "UPDATE tokens SET used_at = ?, serial = ? WHERE secret_sha256 = ?", (now_s, serial, secret_sha256(secret))
        )

    def drop_tokens(self, station: str) -> int:
        """No token of this station is good any more; how many were."""
        return self._connection.execute("DELETE FROM tokens WHERE station = ? AND used_at IS NULL", (station,)).rowcount

    def open_tokens(self, now_s: float) -> list[KeptToken]:
        """Those that could be used still."""
        rows = self._connection.execute(
            "SELECT station, made_at, expires_at, used_at, serial FROM tokens "
            "WHERE used_at IS NULL AND expires_at > ? ORDER BY station, made_at",
            (now_s,),
        )
        return [KeptToken(*row) for row in rows]

    def add(self, certificate: x509.Certificate, kind: Kind, now_s: float) -> str:
        """A certificate was issued; its serial."""
        serial = serial_text(certificate)
        row = (
            serial,
            common_name(certificate.subject),
            kind.value,
            key_sha256(certificate.public_key()),
            now_s,
            certificate.not_valid_after_utc.timestamp(),
            certificate_pem(certificate),
        )
        self._connection.execute(
            "INSERT INTO certificates (serial, name, kind, key_sha256, issued_at, not_after, pem) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return serial

    def issued(self, serial: str) -> Issued | None:
        """The certificate with this serial."""
        found = self._issued("WHERE serial = ?", serial)
        return found[0] if found else None

    def issued_to(self, name: str, kind: Kind) -> list[Issued]:
        """All that this name was given, the oldest first."""
        return self._issued("WHERE name = ? AND kind = ?", name, kind.value)

    def all_issued(self) -> list[Issued]:
        """Everything, by name."""
        return self._issued("")

    def revoke(self, serial: str, why: str, now_s: float) -> None:
        """It is no longer good."""
        self._connection.execute(
            "UPDATE certificates SET revoked_at = ?, why = ? WHERE serial = ? AND revoked_at IS NULL",
            (now_s, why, serial),
        )

    def revoked(self, kinds: tuple[Kind, ...], after_s: float) -> list[Revoked]:
        """What a revocation list has to name: revoked, and not over by itself before `after_s`."""
        rows = self._connection.execute(
            "SELECT serial, revoked_at, kind FROM certificates WHERE revoked_at IS NOT NULL AND not_after > ? "
            "ORDER BY serial",
            (after_s,),
        )
        return [
            Revoked(int(serial, 16), dt.datetime.fromtimestamp(at, dt.UTC))
            for serial, at, kind in rows
            if kind in kinds
        ]

    def next_list_number(self, now_s: float) -> int:
        """A number for a revocation list, higher than all before."""
        return int(self._connection.execute("INSERT INTO lists (written_at) VALUES (?)", (now_s,)).lastrowid or 0)

    def _issued(self, where: str, *values: str) -> list[Issued]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM certificates {where} ORDER BY name, issued_at",  # noqa: S608 - our own words
            values,
        )
        return [Issued(row[0], row[1], Kind(row[2]), *row[3:]) for row in rows]


def secret_sha256(secret: str) -> str:
    """What stands for a token's secret: it has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def serial_text(certificate: x509.Certificate) -> str:
    """A serial as it is written: hex."""
    return f"{certificate.serial_number:x}"


def key_sha256(key: object) -> str:
    """What stands for a public key. Raises LinkError where it is not on P-256."""
    return hashlib.sha256(public_bytes(key)).hexdigest()
