"""Text as a person, or a log, may see it: on one line, without a word to the terminal, without a password."""

import re

_PASSWORDS = ((re.compile(r"(://[^:/@]*):.*@"), r"\1:***@"), (re.compile(r"([?&]password=)[^&]*"), r"\1***"))


def plain(text: str) -> str:
    """The text, with its number in place of each character that is none to be seen."""
    return text if text.isprintable() else "".join(map(_shown, text))


def without_password(place: str) -> str:
    """A store's place as it may stand in a log, which a URL's password may not."""
    for pattern, shown in _PASSWORDS:
        place = pattern.sub(shown, place)
    return place


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
