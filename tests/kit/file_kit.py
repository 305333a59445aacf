"""Files for tests: a list of uploads in memory, a cloud that is a real store and a real desk, a way between them."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from brokers import eventually
from outboxes import EPOCH, STATION

from cloud_sync.hub.desk import Desk, Reply
from cloud_sync.hub.files.blobs import Blobs, FolderBlobs
from cloud_sync.hub.files.file_desk import FileDesk
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.station.passenger import Passenger
from cloud_sync.wire import topics
from cloud_sync.wire.link import Limits
from cloud_sync.wire.uploads import Upload

LIMITS = Limits(payload_bytes=250_000, in_flight=20)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def picture(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes as a picture has them: no two alike."""
    return Random(seed).randbytes(size_bytes)


def upload_of(content: bytes, seq: int = 1) -> Upload:
    return Upload(sha256_of(content), len(content), "image/png", EPOCH, seq, "top")


class ListedUploads:
    """Implements `Uploads` in memory, in the order given; `disk` is what lies there."""

    def __init__(self, *contents: bytes) -> None:
        self.rows = [upload_of(content, seq) for seq, content in enumerate(contents, 1)]
        self.disk = {row.sha256: content for row, content in zip(self.rows, contents, strict=True)}
        self.refused: dict[str, str] = {}
        self.settled: list[str] = []

    def waiting(self, limit: int) -> Sequence[Upload]:
        return [row for row in self.rows if row.sha256 not in self.refused][:limit]

    def content(self, upload: Upload) -> bytes | None:
        return self.disk.get(upload.sha256)

    def settle(self, upload: Upload) -> None:
        self.rows.remove(upload)
        self.settled.append(upload.sha256)

    def refuse(self, upload: Upload, reason: str) -> None:
        self.refused[upload.sha256] = reason


class Cloud:
    """A store with desks, in this thread: what a collector does of them, one message at a time."""

    def __init__(self, place: Path | str, make_desks: Callable[[str], Sequence[Desk]]) -> None:
        self.place = str(place)
        self._make = make_desks
        self.engine = open_engine(self.place, create=True)
        self.desks = make_desks(self.place)
        self.said: deque[Reply] = deque()

    def take(self, topic: str, payload: bytes) -> None:
        parsed = topics.parse(topic)
        desk = next(desk for desk in self.desks if desk.takes(parsed.subject))
        with self.engine.begin() as connection:
            replies = desk.take(connection, parsed.station, parsed.subject, payload, time.time_ns() // 1_000_000)
        self.said.extend(replies)

    def work(self) -> None:
        for desk in self.desks:
            desk.work(self._say)

    def restart(self) -> None:
        """As after a kill: nothing in memory is left."""
        self.close()
        self.engine = open_engine(self.place, create=True)
        self.desks = self._make(self.place)

    def close(self) -> None:
        for desk in self.desks:
            desk.close()  # type: ignore[attr-defined]
        self.engine.dispose()

    def _say(self, reply: Reply) -> bool:
        self.said.append(reply)
        return True


class Way:
    """Between a passenger and a cloud, with a clock of its own; `loses` says of each message whether it gets lost."""

    def __init__(self, passenger: Passenger, cloud: Cloud, loses: Callable[[str], bool] = lambda _topic: False) -> None:
        self.passenger = passenger
        self.cloud = cloud
        self.loses = loses
        self.sent: list[tuple[str, bytes]] = []
        self.now_s = 0.0
        passenger.begin(LIMITS)

    def step(self) -> None:
        """Everything that can happen now, and then a second passes."""
        self.passenger.work(self.now_s, self._publish)
        self.cloud.work()
        while self.cloud.said:
            reply = self.cloud.said.popleft()
            if not self.loses(reply.topic):
                self.passenger.hear(topics.parse(reply.topic).subject, reply.payload)
        self.now_s += 1.0

    def until(self, done: Callable[[], object], within_s: float = 15.0) -> None:
        def look() -> object:
            self.step()
            return done()

        eventually(look, within_s)

    def _publish(self, topic: str, payload: bytes) -> bool:
        self.sent.append((topic, payload))
        if not self.loses(topic):
            self.cloud.take(topic, payload)
        return True


@contextmanager
def file_cloud(folder: Path, blobs: Blobs | None = None) -> Iterator[Cloud]:
    """A cloud that takes files into `folder/blobs`, or where it is told."""
    where = blobs or FolderBlobs(folder / "blobs")
    cloud = Cloud(folder / "cloud.db", lambda place: [FileDesk(place, where, adopt_after_s=0.05)])
    try:
        yield cloud
    finally:
        cloud.close()


__all__ = ["EPOCH", "STATION", "Cloud", "ListedUploads", "Way", "file_cloud", "picture", "sha256_of", "upload_of"]
