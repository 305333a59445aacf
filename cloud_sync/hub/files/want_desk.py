"""Who answers a `want`: signed metadata for the names that are its own, releases for all others."""

from collections.abc import Sequence

import sqlalchemy as sa

from cloud_sync.hub.desk import Desk, Publish, Reply
from cloud_sync.wire.messages import METADATA_MARK, Want


class WantDesk:
    """A `Desk` before two others.

    Args:
        metadata: answers for signed metadata.
        releases: answers for everything else; also deals with other subjects than `want`.
    """

    def __init__(self, metadata: Desk, releases: Desk) -> None:
        self._metadata = metadata
        self._releases = releases

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "want" or self._releases.takes(subject)

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> Sequence[Reply]:
        """See `Desk`."""
        is_metadata = subject == "want" and Want.unpack(payload).name.startswith(METADATA_MARK)
        desk = self._metadata if is_metadata else self._releases
        return desk.take(connection, station, subject, payload, at_ms)

    def work(self, publish: Publish) -> None:
        """See `Desk`."""
        self._metadata.work(publish)
        self._releases.work(publish)
