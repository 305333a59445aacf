"""What a broker means by refusing a publish: MQTT 5's reason codes, by the names that its specification gives them."""

from enum import Enum, auto


class Meaning(Enum):
    """NEVER: this message will never be taken. DENIED: we may not publish there at all. LATER: try again."""

    NEVER = auto()
    DENIED = auto()
    LATER = auto()


_NEVER = {"payload format invalid", "packet too large"}
_DENIED = {"not authorized", "topic name invalid"}


def meaning_of(refusal: str) -> Meaning:
    """What to make of a refusal. Whatever is not known to be for ever may pass."""
    said = refusal.casefold()
    if said in _NEVER:
        return Meaning.NEVER
    return Meaning.DENIED if said in _DENIED else Meaning.LATER
