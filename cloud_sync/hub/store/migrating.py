"""Brings a store's schema to this program's version; several programs that start at once do it once.

- The steps run in one transaction under a lock that every writer of ours takes first: all of them, or none.
- A store of a newer version is refused and left as it is.
"""

import sqlalchemy as sa

from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.tables import SCHEMA_VERSION, meta

_LOCK = 0x696E7370  # any number that no other program at this database takes
_WAIT_MS = 120_000
_SCRIPTS = "cloud_sync.hub.store:migrations"


def migrate(engine: sa.Engine, place: str) -> None:
    """Make the tables, or bring them forward, or do nothing. Raises StoreError, or SQLAlchemyError."""
    if _found(engine) == SCHEMA_VERSION:
        return
    with engine.connect() as connection:
        _wait_long(connection)
        with connection.begin():
            _lock(connection)
            found = version_of(connection)
            if found > SCHEMA_VERSION:
                raise StoreError(newer(place, found))
            if found < SCHEMA_VERSION:
                _upgrade(connection, found)
        connection.invalidate()  # what was set on it for this once goes with it


def version_of(connection: sa.Connection) -> int:
    """The schema's version, 0 where there is none. Raises StoreError where the tables are not ours."""
    if not sa.inspect(connection).has_table("meta"):
        return 0
    text = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "schema_version"))
    if text is None or not text.isascii() or not text.isdigit():
        raise StoreError(f"expected a schema version in the table 'meta', got {text!r}: it is no store of ours")
    return int(text)


def newer(place: str, found: int) -> str:
    """What to say of a store that is ahead of us."""
    return (
        f"the store {place} has schema version {found}, this program knows {SCHEMA_VERSION}: "
        "install the inspectd that wrote it, or a newer one; nothing was changed"
    )


def _found(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        _wait_long(connection)
        found = version_of(connection)
        connection.invalidate()  # as below
        return found


def _wait_long(connection: sa.Connection) -> None:
    """Another program may bring forward many rows just now."""
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute(f"PRAGMA busy_timeout={_WAIT_MS}")


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's transaction began as a writer, which is lock enough
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _upgrade(connection: sa.Connection, found: int) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if found:
        command.stamp(config, f"{found:04d}")
    else:
        meta.create(connection)
        connection.execute(sa.insert(meta).values(name="schema_version", value="0"))
    command.upgrade(config, "head")
    reached = sa.update(meta).where(meta.c.name == "schema_version")
    connection.execute(reached.values(value=str(SCHEMA_VERSION)))
