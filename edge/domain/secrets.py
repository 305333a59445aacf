"""Keeping passwords out of what people read: errors, logs, status."""

import re

_LOGIN = re.compile(r"(?<=://)(?:(?!://)[^\n])*@")
_QUERY_SECRET = re.compile(
    r"([?&;][^=&\s'\"]*(?:user|usr|login|pass|pwd|token|key|secret|auth)[^=&\s'\"]*=)[^&\s'\"]+", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with every login and secret in its addresses replaced by stars."""
    return _QUERY_SECRET.sub(r"\1***", _LOGIN.sub("***@", text))
