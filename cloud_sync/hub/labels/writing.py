"""One transaction of somebody who is no collector, on a store that exists."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError

_PATIENCE_S = 30.0


@contextmanager
def written(place: str) -> Iterator[sa.Connection]:
    """All of it is committed at the end, or nothing. Raises StoreError."""
    open_engine(place, create=False).dispose()  # a mistyped place is refused, not made
    with _engine(place, create=True) as engine, engine.begin() as connection:
        yield connection


@contextmanager
def read(place: str) -> Iterator[sa.Connection]:
    """To read only, each query by itself: who takes long between two is not put out. Raises StoreError."""
    with _engine(place, create=False) as engine, engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _engine(place: str, *, create: bool) -> Iterator[sa.Engine]:
    engine = open_engine(place, create=create, busy_timeout_s=_PATIENCE_S)
    try:
        yield engine
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the store {without_password(place)} fails: {cause}") from error
    finally:
        engine.dispose()
