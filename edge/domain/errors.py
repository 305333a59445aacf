"""What can go wrong at a station, split by who must act.

    InspectdError
      ConfigError       the line engineer: a file or an option is wrong
      CameraError       whoever looks after cameras: no frame, or none that can be trusted
      StorageError      whoever looks after the machine: the disk refuses
      OutputError       whoever looks after the line: a verdict cannot be told
    models.errors.ModelError          the ML engineer: a bundle, graph or result cannot be used
      models.errors.GateError         ... it was measured, and the answer was no
    models.errors.RequestError      whoever gave the command: what was asked for cannot be
    cloud_sync.wire.errors.LinkError  whoever looks after the network
    cloud_sync.pages.errors.PagesError  whoever looks after the pages and their users

A fault on the way to a verdict makes the part UNDECIDED; it never ends as PASS.
"""

from cloud_sync.pages.errors import PagesError
from cloud_sync.wire.errors import LinkError
from models.errors import GateError, ModelError, RequestError

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_WORLD = 3
EXIT_INTERRUPTED = 130


class InspectdError(Exception):
    """Root of the station's own errors."""


class ConfigError(InspectdError):
    """A configuration, option or recipe is wrong; nothing was started."""


class CameraError(InspectdError):
    """A camera gave no frame, or one that cannot be trusted; `reason` is the word the verdict carries."""

    def __init__(self, message: str, reason: str = "camera_fault") -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(InspectdError):
    """The station's disk or database refused a read or a write."""


class OutputError(InspectdError):
    """The line cannot be told."""


EXPECTED_ERRORS: tuple[type[Exception], ...] = (InspectdError, ModelError, LinkError, PagesError)


def exit_code(error: Exception) -> int:
    """The process exit code that this error ends a command with: 1 refused, 2 usage, 3 the outside world."""
    if isinstance(error, GateError):
        return EXIT_REFUSED
    if isinstance(error, ConfigError | RequestError | PagesError):
        return EXIT_USAGE
    return EXIT_WORLD
