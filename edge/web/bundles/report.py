"""A bundle's report to a browser: as it was written, and with no more rights than a picture."""

from enum import StrEnum
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge.domain.errors import StorageError

POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_MOST_BYTES = 64 << 20


class ReportName(StrEnum):
    """How it was made, and how it does at this station."""

    REPORT = "report"
    STATION = "station"


def answer_report(path: Path) -> Response:
    """The page under a policy of its own: its styles and pictures are inside, and nothing else is let in or out.

    Raises:
        HTTPException: there is none (404).
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError as error:
        raise HTTPException(404) from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return Response(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})
