"""The enrolment server as a process: signals, its own renewals, warnings."""

import datetime as dt
import logging
import signal
import sys
import threading
from collections.abc import Callable

from cloud_sync.hub.pki.errors import PkiError
from cloud_sync.hub.pki.office import Office
from cloud_sync.hub.pki.own import renew_own
from cloud_sync.hub.pki.revocation import list_faults, write_lists
from cloud_sync.hub.pki.server import EnrolmentServer
from cloud_sync.hub.pki.watch import faults
from cloud_sync.wire.link import Address

_ROUND_S = 3600.0
_logger = logging.getLogger(__name__)


def serve_until_signal(office: Office, listen: Address, on_ready: Callable[[int], None]) -> None:
    """Answer until SIGTERM or SIGINT; look after the cloud's own certificates and the lists each hour.

    Args:
        office: the authority.
        listen: where.
        on_ready: told the port.

    Raises:
        PkiError: the folder cannot be used.
        OSError: nobody can listen there.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    stopping = threading.Event()
    look_after(office)
    with EnrolmentServer(office, listen) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        answering = threading.Thread(target=server.serve_forever, name="enrolment", daemon=True)
        answering.start()
        on_ready(server.port)
        while not stopping.wait(_ROUND_S):
            _round(office, server)
        server.shutdown()


def look_after(office: Office) -> None:
    """Renew what is due, mend lists that are behind the register, say what else needs somebody. Raises PkiError."""
    now = office.clock()
    for renewed in renew_own(office.folder, now):
        _logger.warning("renewed %s, good until %s", renewed.name, _day(renewed.not_after))
    if behind := list_faults(office.folder, now):
        for fault in behind:
            _logger.error("%s; written anew", fault)
        write_lists(office.folder, now)
    for fault in faults(office.folder, now):
        _logger.warning("%s", fault)


def _round(office: Office, server: EnrolmentServer) -> None:
    try:
        look_after(office)
        server.use_own_certificate()
    except (PkiError, OSError) as error:
        _logger.error("cannot look after the certificates, tried again in an hour: %s", error)


def _day(at: dt.datetime) -> str:
    return at.isoformat(timespec="minutes")
