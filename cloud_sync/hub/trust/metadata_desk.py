"""The desk for signed metadata: any station is given any file of it, in blocks.

- What is signed is no secret, and a station needs it before it can trust an offer.
- A station asks for one file at a time; of those that ask at once, each has its newest question answered.
- Only so many bytes are read as are asked for, and no name but those of metadata reaches the store.
"""

import logging
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.trust_tables import trust_files
from cloud_sync.wire import topics
from cloud_sync.wire.messages import BLOCK_BYTES, METADATA_MARK, Want

_STATIONS = 1000
_EACH_ROUND = 8
_NAME = re.compile(re.escape(METADATA_MARK) + r"(?:(timestamp)|([1-9][0-9]{0,8})\.(root|snapshot|targets))\.json")
_logger = logging.getLogger(__name__)


class MetadataDesk:
    """A `Desk` for each `want` of a name of metadata; a context manager, closed when the collector ends.

    Args:
        place: the store, as the collector has it; it must exist.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, place: str) -> None:
        self._reader = open_engine(place, create=False)
        self._wanted: OrderedDict[str, Want] = OrderedDict()
        self._unsaid: deque[Reply] = deque()

    @property
    def waiting(self) -> int:
        """How many stations wait for an answer."""
        return len(self._wanted)

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "want"

    def take(
        self,
        connection: sa.Connection,  # noqa: ARG002 - nothing is written
        station: str,
        subject: str,  # noqa: ARG002 - it takes one
        payload: bytes,
        at_ms: int,  # noqa: ARG002
    ) -> Sequence[Reply]:
        """See `Desk`."""
        self._wanted.pop(station, None)
        self._wanted[station] = Want.unpack(payload)
        if len(self._wanted) > _STATIONS:
            self._wanted.popitem(last=False)
        return ()

    def work(self, publish: Publish) -> None:
        """Answer a few of those who asked; see `Desk`."""
        for _ in range(_EACH_ROUND):
            if not self._unsaid and self._wanted and not self._read_next():
                return  # the others would wait for a store that is away, each in turn
            while self._unsaid:
                if not publish(self._unsaid[0]):
                    return
                self._unsaid.popleft()

    def close(self) -> None:
        """Give back what the database lent."""
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_next(self) -> bool:
        """Whether the store answered."""
        station, want = self._wanted.popitem(last=False)
        try:
            self._unsaid.extend(self._blocks(station, want))
        except sa.exc.SQLAlchemyError as error:
            _logger.error("signed metadata cannot be read, its station asks again: %s", error)
            return False
        return True

    def _blocks(self, station: str, want: Want) -> list[Reply]:
        """The blocks as they go out, up to the first that is shorter: it says that the file has ended."""
        content = self._read(want)
        blocks = [content[at : at + BLOCK_BYTES] for at in range(0, want.count * BLOCK_BYTES, BLOCK_BYTES)]
        whole = sum(len(block) == BLOCK_BYTES for block in blocks)
        first = want.offset // BLOCK_BYTES
        return [
            Reply(topics.block(station, want.name, first + number), block)
            for number, block in enumerate(blocks[: whole + 1])
        ]

    def _read(self, want: Want) -> bytes:
        """What there is from where it is asked for on; nothing where there is no such file."""
        known = _NAME.fullmatch(want.name)
        if known is None:
            return b""
        role = known[1] or known[3]
        part = sa.func.substr(trust_files.c.payload, want.offset + 1, want.count * BLOCK_BYTES, type_=sa.LargeBinary)
        query = sa.select(part).where(trust_files.c.role == role).order_by(trust_files.c.version.desc()).limit(1)
        if known[2]:
            query = query.where(trust_files.c.version == int(known[2]))
        with self._reader.connect() as connection:
            found = connection.scalar(query)
        return b"" if found is None else bytes(found)
