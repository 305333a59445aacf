"""station.toml without the logins and passwords that somebody wrote into it, comments included. Pure text."""

import re
import tomllib
from collections.abc import Iterator

from edge.domain.errors import ConfigError
from edge.domain.secrets import redacted

_LOGIN = re.compile(r"(?<=://)[^\s/@\"']+(?:@[^\s/@\"']+)*@")


def secret_free(text: str) -> tuple[str, int]:
    """The text with every login and secret in its addresses replaced by stars, and how many lines changed.

    Raises:
        ConfigError: one is written so that it cannot be found in the text.
    """
    found = text
    for value in _values(tomllib.loads(text)):
        found = found.replace(value, redacted(value)) if redacted(value) != value else found
    lines = [_LOGIN.sub("***@", line) for line in found.splitlines(keepends=True)]
    lines = [redacted(line) if line.lstrip().startswith("#") else line for line in lines]
    if any(redacted(value) != value for value in _values(tomllib.loads("".join(lines)))):
        raise ConfigError("station.toml holds a login that cannot be taken out: put it into a password_file")
    changed = sum(before != after for before, after in zip(text.splitlines(keepends=True), lines, strict=True))
    return "".join(lines), changed


def _values(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _values(inner)
