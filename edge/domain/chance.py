"""Chance that is the same after a restart, and in every test."""

import hashlib

_DIGEST_BYTES = 8


def chance_of(identity: str) -> float:
    """A number in [0, 1) that is spread evenly over identities: their hash."""
    digest = hashlib.sha256(identity.encode()).digest()[:_DIGEST_BYTES]
    return int.from_bytes(digest, "big") / float(2 ** (8 * _DIGEST_BYTES))
