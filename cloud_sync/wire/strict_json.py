"""JSON from strangers: whatever the bytes, either a value or a LinkError."""

import json
import re
from typing import NoReturn

from cloud_sync.wire.errors import LinkError

PAYLOAD_LIMIT_BYTES = 256 * 1024  # what we ask of a broker too; a hostile one need not keep to it
_SHOWN = 80


def loads(payload: bytes, *, unambiguous: bool = False) -> object:
    """The value in the bytes. Raises LinkError: too large, no UTF-8, no JSON, NaN, too deep, too long a number.

    Args:
        payload: what came.
        unambiguous: a name that comes twice in one object is refused too: readers differ in which of both they take.
            Records need no such look: their bytes are compared with their canonical form.
    """
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise LinkError(f"expected at most {PAYLOAD_LIMIT_BYTES} bytes of JSON, got {len(payload)}: nobody reads it")
    try:
        value: object = (_ONCE_DECODER if unambiguous else _DECODER).decode(payload.decode())
    except (ValueError, RecursionError) as error:
        raise LinkError(
            f"expected JSON, got {len(payload)} bytes {payload[:_SHOWN]!r}: {str(error)[:_SHOWN]}"
        ) from error
    return value


def canonical(value: object) -> bytes:
    """The value with sorted keys, no spaces, UTF-8. Raises LinkError where JSON or UTF-8 has no such value."""
    try:
        return _ENCODER.encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise LinkError(f"expected a value that JSON can hold, got {str(error)[:_SHOWN]}") from error


def members(value: object, names: tuple[str, ...], what: str) -> dict[str, object]:
    """The value as an object that has these members, perhaps among others. Raises LinkError naming what came."""
    if not isinstance(value, dict) or not set(names) <= set(value):
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise LinkError(f"{what} has the members {', '.join(names)}, got {ascii(got)[: 2 * _SHOWN]}")
    return value


def is_text(value: object, pattern: str) -> bool:
    """Whether the value is text that the pattern matches whole."""
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name comes twice in one object")
    return content


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ONCE_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_once)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
