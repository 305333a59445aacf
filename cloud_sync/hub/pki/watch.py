"""What somebody has to look after before it locks anybody out."""

import datetime as dt

from cloud_sync.hub.pki.authority import Kind
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.hub.pki.own import own_standings
from cloud_sync.hub.pki.register import Issued
from cloud_sync.hub.pki.revocation import list_faults

_LATE_SHARE = 1 / 4  # renewal begins with a third left: below this it has failed for a while


def faults(folder: PkiFolder, now: dt.datetime) -> list[str]:
    """Lists that are behind, certificates of our own that are due, stations that do not renew. Raises PkiError."""
    with folder.register.changing() as ledger:
        issued = ledger.all_issued()
    due = [
        f"{path} is good until {standing.not_after.isoformat(timespec='minutes')} only: `cloud pki renew-own`"
        for path, standing in own_standings(folder).items()
        if standing.is_due(now)
    ]
    return [*list_faults(folder, now), *due, *late_stations(issued, now.timestamp())]


def late_stations(issued: list[Issued], now_s: float) -> list[str]:
    """Stations whose newest certificate runs out, and that did not renew it in time."""
    newest = {one.name: one for one in issued if one.kind is Kind.STATION and one.is_live(now_s)}
    return [
        f"station {one.name!r} has not renewed its certificate, good for {(one.not_after - now_s) / 86400:.1f} "
        "days: is it switched on, and does it reach the enrolment server?"
        for one in newest.values()
        if one.not_after - now_s < (one.not_after - one.issued_at) * _LATE_SHARE
    ]
