"""Why there is no release.

Fault
├── Refused      a gate said no
├── Misuse       wrong usage or configuration
└── Unreachable  the outside world did not answer
"""


class Fault(Exception):
    """What failed, expected, got, what to do; `code` is the exit code."""

    code = 1


class Refused(Fault):
    """A gate said no."""


class Misuse(Fault):
    """Wrong usage, or a file of ours says what it cannot say."""

    code = 2


class Unreachable(Fault):
    """The outside world did not answer."""

    code = 3
