"""Passwords: argon2id, with the parameters that the library recommends (RFC 9106, low memory)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from cloud_sync.pages.errors import PagesError

SHORTEST = 10
LONGEST = 256
_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
# What an unknown name is measured against, so that it takes as long as a wrong password.
_NOBODY = _HASHER.hash("nobody has this one")


def check_password(name: str, password: str) -> str:
    """The password, if it may be one. Raises PagesError: too short, too long, or easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PagesError(f"a password has {SHORTEST} to {LONGEST} characters, got {len(password)}")
    if name.lower() in password.lower() or len(set(password)) < SHORTEST // 2:
        raise PagesError("a password must not hold the user's name, nor repeat a few characters: choose another")
    return password


def hashed(password: str) -> str:
    """What is kept of a password."""
    return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether this is the password; for a name that is not known (None) it takes as long, and is not."""
    try:
        return _HASHER.verify(kept or _NOBODY, password[:LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether it was hashed with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)
