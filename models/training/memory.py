"""Freed memory is kept for the next training step instead of being given back and asked for again.

A step frees and takes the same hundreds of megabytes again; by default glibc maps and unmaps each large piece, and
workers in one process wait for each other's page faults. Source: mallopt(3).
"""

import ctypes

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1
_LARGEST_PIECE = 2**30


def keep_freed_memory() -> bool:
    """Say so to the C library, for this process and from now on. False where it is not glibc: nothing changed then."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_PIECE)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
