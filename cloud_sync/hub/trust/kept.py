"""What is signed, as the store keeps it: read and added to under a lock, by one at a time."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.trust_tables import trust_files
from models.trust.errors import TrustError
from models.trust.keys import ROLES
from models.trust.signing import SignedState

KEPT_VERSIONS = 16
_LOCK = 0x74756673  # any number that no other program at this database takes


@contextmanager
def changing(place: str, *, create: bool = False) -> Iterator[sa.Connection]:
    """One transaction, in which nobody else signs; all of it is kept, or nothing.

    Args:
        place: a store's path or URL.
        create: make a store where there is none; else a mistyped place is refused.

    Raises:
        StoreError: the store cannot be opened or written.
    """
    if not create:
        open_engine(place, create=False).dispose()
    engine = open_engine(place, create=True)
    try:
        with engine.begin() as connection:  # as SQLite's writer, which is lock enough
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"cannot write to {without_password(place)}: {getattr(error, 'orig', None) or error}"
        ) from error
    finally:
        engine.dispose()


def read_state(place: str) -> SignedState | None:
    """What is signed now; None where nothing is. Raises StoreError, TrustError."""
    engine = open_engine(place, create=False)
    try:
        with engine.connect() as connection:
            return state_in(connection)
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"cannot read {without_password(place)}: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()


def state_in(connection: sa.Connection) -> SignedState | None:
    """As `read_state`, in a transaction."""
    newest = {role: payload for role in ROLES if (payload := newest_file(connection, role)) is not None}
    return SignedState.parse(newest) if newest else None


def needed_state(connection: sa.Connection, place: str) -> SignedState:
    """What is signed now. Raises TrustError where nothing is."""
    state = state_in(connection)
    if state is None:
        raise TrustError(f"{without_password(place)} holds no signed metadata: `cloud keys init` begins it")
    return state


def newest_file(connection: sa.Connection, role: str) -> bytes | None:
    """A role's newest version."""
    query = sa.select(trust_files.c.payload).where(trust_files.c.role == role)
    found = connection.scalar(query.order_by(trust_files.c.version.desc()).limit(1))
    return None if found is None else bytes(found)


def keep(connection: sa.Connection, before: SignedState | None, after: SignedState, now: dt.datetime) -> None:
    """Add the roles' new versions, and let go of what is long replaced."""
    for role in ROLES:
        version = after.version(role)
        if before is not None and before.version(role) == version:
            continue
        row = {"role": role, "version": version, "payload": after.file(role)}
        connection.execute(sa.insert(trust_files).values(made_at_ms=round(now.timestamp() * 1000), **row))
        if role != "root":
            old = trust_files.c.role == role, trust_files.c.version <= version - KEPT_VERSIONS
            connection.execute(sa.delete(trust_files).where(*old))
