"""Which images go up to the cloud, and which of them first. Pure."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from edge.domain.chance import chance_of


class UploadValue(IntEnum):
    """What an image is worth to whoever looks at it later; the higher goes up first, and is evicted last."""

    AUDIT = 1
    REJECT = 2
    UNDECIDED = 3
    SAMPLE = 4
    OVERRULED = 5


@dataclass(frozen=True, slots=True)
class UploadRule:
    """Which images go up.

    Args:
        images: none of them, those of parts that did not pass, or all.
        audit_share: of `not_pass`, the share of PASS images that goes up as well, in [0, 1].
    """

    images: Literal["none", "not_pass", "all"] = "none"
    audit_share: float = 0.0


NOTHING_UP = UploadRule()


def upload_value(rule: UploadRule, verdict: str, identity: str) -> UploadValue | None:
    """What an inspection's images are worth up there; None where they stay here.

    The audit's choice is a hash of the inspection's identity (`inspection_id`): chance to the line, and yet the same
    after a restart and in every test.
    """
    if rule.images == "none":
        return None
    if verdict != "PASS":
        return UploadValue[verdict]
    return UploadValue.AUDIT if rule.images == "all" or chance_of(identity) < rule.audit_share else None
