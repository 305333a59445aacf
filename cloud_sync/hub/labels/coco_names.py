"""What an exported image is called, so that it is known again after any tool had it: pure.

`SAMPLE-LABEL.png`: the sample's id, and the number of the label that whoever labels it there has seen (0: none). Label
Studio puts eight characters before a name, and folders or a URL; CVAT puts folders; both leave the rest alone.
"""

import re

_NAME = re.compile(r"(?<![0-9a-f])([0-9a-f]{32})-([0-9]{1,15})\.[A-Za-z]{3,4}$")
_DIGEST = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?:\.[A-Za-z]{3,4})?$")


def file_name(sample: str, label: int, suffix: str) -> str:
    """The name of a sample's image in an export."""
    return f"{sample}-{label}{suffix}"


def sample_named(name: str) -> tuple[str, int] | None:
    """The sample, and the label that was seen, of an image that we exported; None for another's."""
    found = _NAME.search(name)
    return (found[1], int(found[2])) if found else None


def digest_named(name: str) -> str | None:
    """The sha256 that a file is named by."""
    found = _DIGEST.search(name)
    return found[1] if found else None
