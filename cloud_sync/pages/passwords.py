"""Passwords: argon2id with the memory and passes of RFC 9106's second choice, in one lane and one at a time.

A station's processors belong to the inspection: four lanes, or forty logins at once, would take them all, and 64 MiB
each. Where words look alike in Unicode, they are alike here (NFKC), whatever keyboard wrote them.
"""

import threading
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from cloud_sync.pages.errors import PagesError

SHORTEST = 10
LONGEST = 256
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
# What an unknown name is measured against, so that it takes as long as a wrong password.
_NOBODY = _HASHER.hash("nobody has this one")
_ALONE = threading.Lock()


def check_password(name: str, password: str) -> str:
    """The password, if it may be one. Raises PagesError: too short, too long, or easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PagesError(f"a password has {SHORTEST} to {LONGEST} characters, got {len(password)}")
    if name.lower() in password.lower() or len(set(password)) < SHORTEST // 2:
        raise PagesError("a password must not hold the user's name, nor repeat a few characters: choose another")
    if not unicodedata.normalize("NFKC", password).isprintable():
        raise PagesError("a password holds letters, digits, signs and spaces alone: choose another")
    return password


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _ALONE:
        return _HASHER.hash(_plain(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether this is the password; for a name that is not known (None) it takes as long, and is not."""
    try:
        with _ALONE:
            return _HASHER.verify(kept or _NOBODY, _plain(password)) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


def _plain(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode("utf-8", "replace")
