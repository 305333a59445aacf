"""Opens the database: from a path or a URL to an engine whose schema is ours."""

import sqlite3
import time
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.migrating import migrate, newer, version_of
from cloud_sync.hub.store.tables import SCHEMA_VERSION

BUSY_TIMEOUT_S = 5.0
# A server that went silent is given up, so that it can be reached anew; a collector that hangs in a transaction is
# put out by the server, and who waits for its locks begins again meanwhile.
_SERVER = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": "-c synchronous_commit=on -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s",
}
_BACKENDS = ("sqlite", "postgresql")
_BARE = {"postgresql", "postgres"}  # as everybody else writes it; the only driver that we have is psycopg


def open_engine(place: str, *, create: bool, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sa.Engine:
    """An engine on the store at a path or URL.

    Args:
        place: a file's path (SQLite), or an SQLAlchemy URL.
        busy_timeout_s: how long SQLite waits for another writer.
        create: make database and tables where there are none; otherwise the store is only read.

    Raises:
        StoreError: it is absent, cannot be opened, or has another schema.
    """
    url, place = _url(place), without_password(place)  # from here on `place` is for people
    if not create and url.database and url.get_backend_name() == "sqlite" and not Path(url.database).exists():
        raise StoreError(f"there is no store at {place}: start `cloud collect --store {place}` first")
    try:
        engine = _engine(url, busy_timeout_s, read_only=not create)
        try:
            if create:
                migrate(engine, place)
            _check_version(engine, place)
        except BaseException:
            engine.dispose()
            raise
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise StoreError(f"cannot open the store {place}: {_short(error)}") from error
    return engine


def _url(place: str) -> URL:
    if "://" not in place:
        return URL.create("sqlite", database=str(Path(place).absolute()))
    try:
        url = make_url(place)
    except sa.exc.ArgumentError as error:
        raise StoreError(f"a store is a file's path or a database URL, got {without_password(place)!r}") from error
    if url.drivername in _BARE:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in _BACKENDS:
        raise StoreError(f"a store is SQLite or PostgreSQL (postgresql+psycopg://...), got {url!r}")
    return url


def _engine(url: URL, busy_timeout_s: float, *, read_only: bool) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        # A kept connection is asked for a word before it is used: after a restart of the server nobody fails on it.
        return sa.create_engine(url, connect_args={**_SERVER, **url.query}, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": busy_timeout_s})
    made = _read_only if read_only else partial(_durable, wait_s=busy_timeout_s)
    sa.event.listen(engine, "connect", made)
    if not read_only:
        sa.event.listen(engine, "begin", _begin_as_writer)
    return engine


def _durable(connection: sa.engine.interfaces.DBAPIConnection, _record: object, *, wait_s: float) -> None:
    connection.isolation_level = None  # we say when a transaction begins
    cursor = connection.cursor()
    _keep_a_log(cursor, time.monotonic() + wait_s)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _keep_a_log(cursor: sa.engine.interfaces.DBAPICursor, until: float) -> None:
    """SQLite waits for nobody where two programs turn a new file's journal into a log at once: the other is soon done.

    Raises sqlite3.OperationalError.
    """
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _read_only(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _begin_as_writer(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_version(engine: sa.Engine, place: str) -> None:
    with engine.connect() as connection:
        found = version_of(connection)
    if found == 0:
        raise StoreError(f"{place} is no store of ours: it has no table 'meta'")
    if found > SCHEMA_VERSION:
        raise StoreError(newer(place, found))
    if found < SCHEMA_VERSION:
        raise StoreError(
            f"the store {place} has schema version {found}, this program reads {SCHEMA_VERSION}: "
            f"`cloud collect --store {place}` brings it forward when it starts"
        )


def _short(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
