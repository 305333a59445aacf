"""What the uplink needs of whoever keeps the images that wait to be sent, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that the cloud does not have yet.

    Args:
        sha256: its content's hash, by which it is named.
        size_bytes: its size.
        media_type: what it is: `image/jpeg`.
        epoch, seq, camera: which inspection's image it is.
        belongs_to: an inspection, or the station itself.
    """

    sha256: str
    size_bytes: int
    media_type: str
    epoch: str
    seq: int
    camera: str
    belongs_to: Literal["inspection", "station"] = "inspection"


class Uploads(Protocol):
    """The station's files that wait, on its disk. Safe to call from the uplink's thread."""

    def waiting(self, limit: int) -> Sequence[Upload]:
        """The next ones to send, the most valuable first, then the oldest."""
        ...

    def content(self, upload: Upload) -> bytes | None:
        """All of its bytes as they are on the disk; None where it was evicted."""
        ...

    def settle(self, upload: Upload) -> None:
        """The cloud has it, or it is gone: it waits no more."""
        ...

    def refuse(self, upload: Upload, reason: str) -> None:
        """It will never be sent as it is: out of the way with it, with the reason, until somebody looks."""
        ...
