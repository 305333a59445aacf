"""The cloud that the pages are about: its file, and ways into its store."""

from typing import cast

from starlette.requests import Request

from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.store.reading import StoreReader


class Hub:
    """One cloud.

    Args:
        config: cloud.toml, as it was when the pages started.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config

    def reader(self) -> StoreReader:
        """The store, to be read and closed again. Raises StoreError."""
        return StoreReader(self.config.cloud.store)


def hub(request: Request) -> Hub:
    """The cloud that a request is about."""
    return cast("Hub", request.app.state.hub)
