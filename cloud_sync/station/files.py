"""Sends files: 32 KiB at a time, one piece on its way, so that no verdict ever waits behind an image.

- What the cloud holds is asked of the cloud: `init` first, and again after every silence, reconnect or restart. So a
  kill at any byte, on either side, costs at most one piece sent twice, and nothing needs to be remembered here.
- A file leaves the list only on `complete`: its hash was checked over there and it lies in the blob store.
- A file whose bytes are no longer what its name says is refused before its first byte is sent.
- One that gets no answer, or that the disk does not give, is put behind the others for a while.
"""

import hashlib
import logging
from dataclasses import dataclass

from cloud_sync.station.passenger import Publish
from cloud_sync.wire import topics
from cloud_sync.wire.backoff import doubled_s
from cloud_sync.wire.blobs import Span, covers, first_missing, merged
from cloud_sync.wire.link import Limits
from cloud_sync.wire.messages import BLOCK_BYTES, FileAck, FileFin, FileInit
from cloud_sync.wire.uploads import Upload, Uploads

IMAGE_LIMIT_BYTES = 64 * 1024**2  # the whole of a file is held in memory while it is sent

_CANDIDATES = 8
_SILENCES = 5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FilePace:
    """How patient the sender is.

    Args:
        resend_after_s: an unanswered piece is asked about after this, then after twice that, and so on.
        resend_most_s: the longest wait of that kind, and for how long a silent file stays behind the others, seconds.
        look_s: how often an empty list is looked at, seconds.
    """

    resend_after_s: float = 30.0
    resend_most_s: float = 300.0
    look_s: float = 0.5


@dataclass(slots=True)
class FileCounts:
    """What was done so far: files the cloud has, refused, evicted; pieces sent; answers that did not come in time."""

    complete: int = 0
    refused: int = 0
    evicted: int = 0
    pieces: int = 0
    silences: int = 0


@dataclass(slots=True)
class _Underway:
    upload: Upload
    init: bytes
    content: bytes
    held: tuple[Span, ...] | None = None  # None: not asked yet
    asked: Span | None = None  # the piece that is on its way
    due_s: float | None = None  # None: nothing is on its way
    silences: int = 0


class FileSender:
    """A `Passenger` that sends what waits in `uploads`, one file after the other.

    Args:
        station: the station's id.
        uploads: what waits; called from the uplink's thread only.
        pace: how patient it is.
    """

    def __init__(self, station: str, uploads: Uploads, pace: FilePace | None = None) -> None:
        self.counts = FileCounts()
        self._station = topics.checked_station(station)
        self._uploads = uploads
        self._pace = pace or FilePace()
        self._fits = False
        self._next_look_s = 0.0
        self._behind: dict[str, float] = {}  # until when a silent file stays behind the others
        self._current: _Underway | None = None

    def begin(self, limits: Limits) -> None:
        """A new connection: ask anew what the cloud holds; see `Passenger`."""
        self._fits = limits.payload_bytes >= BLOCK_BYTES
        if not self._fits:
            _logger.error(
                "no file can be sent: the broker takes %d bytes, a piece has %d", limits.payload_bytes, BLOCK_BYTES
            )
        self._behind.clear()
        self._next_look_s = 0.0
        if self._current is not None:
            self._ask_anew(self._current)

    def hear(self, subject: str, payload: bytes) -> bool:
        """Take the cloud's word of a file; see `Passenger`. Raises LinkError."""
        if subject != "file-ack":
            return False
        ack = FileAck.unpack(payload)
        current = self._current
        if current is not None and ack.file == current.upload.sha256:
            self._settle(current, ack)
        return True

    def work(self, now_s: float, publish: Publish) -> None:
        """Send the next piece if it is time; see `Passenger`."""
        current = self._current
        if current is not None and current.due_s is not None:
            if now_s < current.due_s:
                return
            self._note_silence(current, now_s)
        if self._current is None:
            self._current = self._next(now_s)
        if self._current is not None and self._fits:
            self._send(self._current, now_s, publish)

    def _settle(self, current: _Underway, ack: FileAck) -> None:
        if ack.error is not None:
            self._refuse(current.upload, f"the cloud refused it: {ack.error}")
        elif ack.complete:
            self._uploads.settle(current.upload)
            self.counts.complete += 1
            self._current = None
        else:
            self._note_held(current, merged(Span(first, end) for first, end in ack.ranges if first < end))

    def _note_held(self, current: _Underway, held: tuple[Span, ...]) -> None:
        if current.held is not None and (current.asked is None or not covers(held, current.asked)):
            return  # a late word, or nothing about what was asked: time will tell
        if current.asked is not None:
            current.silences = 0
        current.held, current.asked, current.due_s = held, None, None

    def _next(self, now_s: float) -> _Underway | None:
        """The most valuable file that is on the disk as its name says; those that are not are dealt with."""
        if now_s < self._next_look_s:
            return None
        for upload in self._uploads.waiting(_CANDIDATES + len(self._behind)):
            if self._behind.get(upload.sha256, 0.0) > now_s:
                continue
            self._behind[upload.sha256] = now_s + self._pace.resend_most_s  # stays so where the disk refuses to read it
            found = self._checked(upload)
            del self._behind[upload.sha256]
            if found is not None:
                return found
        self._next_look_s = now_s + self._pace.look_s
        return None

    def _checked(self, upload: Upload) -> _Underway | None:
        content = self._uploads.content(upload) if upload.size_bytes <= IMAGE_LIMIT_BYTES else b""
        if content is None:
            self._uploads.settle(upload)
            self.counts.evicted += 1
            return None
        try:
            return _Underway(upload, _init(upload, content).pack(), content)
        except ValueError as error:
            self._refuse(upload, str(error))
            return None

    def _refuse(self, upload: Upload, reason: str) -> None:
        self._uploads.refuse(upload, reason)
        self.counts.refused += 1
        self._current = None
        whose = "inspection" if upload.belongs_to == "inspection" else "the station, at inspection"
        _logger.error("file %s of %s %d is not sent: %s", upload.sha256, whose, upload.seq, reason)

    def _note_silence(self, current: _Underway, now_s: float) -> None:
        current.silences += 1
        self.counts.silences += 1
        self._ask_anew(current)
        if current.silences % _SILENCES == 0:
            self._behind[current.upload.sha256] = now_s + self._pace.resend_most_s
            self._current = None

    @staticmethod
    def _ask_anew(current: _Underway) -> None:
        current.held = current.asked = current.due_s = None

    def _send(self, current: _Underway, now_s: float, publish: Publish) -> None:
        topic, payload, piece = self._message(current)
        if not publish(topic, payload):
            return
        current.asked = piece
        current.due_s = now_s + doubled_s(self._pace.resend_after_s, current.silences + 1, self._pace.resend_most_s)
        self.counts.pieces += piece is not None

    def _message(self, current: _Underway) -> tuple[str, bytes, Span | None]:
        """What to send next of a file: the question, a piece, or that it was all."""
        upload = current.upload
        if current.held is None:
            return topics.file_init(self._station, upload.sha256), current.init, None
        piece = first_missing(current.held, upload.size_bytes)
        if piece is None:
            fin = FileFin(file=upload.sha256, size_bytes=upload.size_bytes)
            return topics.file_fin(self._station, upload.sha256), fin.pack(), None
        topic = topics.file_chunk(self._station, upload.sha256, piece.first)
        return topic, current.content[piece.first : piece.end], piece


def _init(upload: Upload, content: bytes) -> FileInit:
    """What announces a file. Raises ValueError: it is not what its name says, or cannot be said on the wire."""
    if upload.size_bytes > IMAGE_LIMIT_BYTES:
        raise ValueError(f"it has {upload.size_bytes} bytes, at most {IMAGE_LIMIT_BYTES} are sent")
    found = hashlib.sha256(content).hexdigest()
    if found != upload.sha256:
        raise ValueError(f"damaged on this disk: {len(content)} bytes that hash to {found}")
    return FileInit(
        file=upload.sha256,
        size_bytes=upload.size_bytes,
        media_type=upload.media_type,
        kind="image",
        epoch=upload.epoch,
        seq=upload.seq,
        camera=upload.camera,
        belongs_to=upload.belongs_to,
    )
