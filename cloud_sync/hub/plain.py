"""Text of strangers as a person may see it: on one line, and without a word to the terminal."""


def plain(text: str) -> str:
    """The text, with its number in place of each character that is none to be seen."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
