"""What the `cloud` command says where the world fails: one line, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cloud_sync.wire.errors import LinkError

WORLD_FAILED = 3


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the faults that are expected into one line on stderr and an exit code."""
    from cloud_sync.hub.store.errors import BlobError, StoreError

    try:
        yield
    except (StoreError, BlobError, LinkError) as error:
        typer.echo(f"cloud: {error}", err=True)
        raise typer.Exit(WORLD_FAILED) from error
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
