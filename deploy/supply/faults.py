"""Why there is no release.

ReleaseError
├── RefusedError      a gate said no
├── MisuseError       wrong usage or configuration
└── UnreachableError  the outside world did not answer
"""


class ReleaseError(Exception):
    """What failed, expected, got, what to do; `code` is the exit code."""

    code = 1


class RefusedError(ReleaseError):
    """A gate said no."""


class MisuseError(ReleaseError):
    """Wrong usage, or a file of ours says what it cannot say."""

    code = 2


class UnreachableError(ReleaseError):
    """The outside world did not answer."""

    code = 3
