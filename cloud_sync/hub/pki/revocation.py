"""The two revocation lists: written whole from the register, and held against it."""

import datetime as dt

from cryptography import x509

from cloud_sync.hub.pki.authority import Kind
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.wire.whole_file import write_whole

_NAMED_AFTER_END = dt.timedelta(days=2)  # a broker whose clock is behind takes an expired certificate for good
_SOON = dt.timedelta(days=30)
_LISTS = {
    "crl.pem": (Kind.STATION, Kind.BROKER, Kind.ENROLMENT),
    "hub-crl.pem": (Kind.HUB,),
}


def write_lists(folder: PkiFolder, now: dt.datetime) -> None:
    """Both lists as the register is now; the lock on it keeps an older list from replacing a newer. Raises PkiError."""
    with folder.register.changing() as ledger:
        number = ledger.next_list_number(now.timestamp())
        for name, kinds in _LISTS.items():
            authority = folder.hubs() if Kind.HUB in kinds else folder.stations()
            revoked = ledger.revoked(kinds, (now - _NAMED_AFTER_END).timestamp())
            write_whole(folder.broker / name, authority.revocation_list(revoked, number, now), 0o644)


def list_faults(folder: PkiFolder, now: dt.datetime) -> list[str]:
    """What is wrong with the lists; nothing where all is well. Raises PkiError where the register cannot be read."""
    faults = []
    with folder.register.changing() as ledger:
        for name, kinds in _LISTS.items():
            wanted = {one.serial for one in ledger.revoked(kinds, now.timestamp())}
            faults += [f"{folder.broker / name} {fault}" for fault in _faults(folder, name, wanted, now)]
    return faults


def _faults(folder: PkiFolder, name: str, wanted: set[int], now: dt.datetime) -> list[str]:
    try:
        found = x509.load_pem_x509_crl((folder.broker / name).read_bytes())
    except (OSError, ValueError) as error:
        return [f"cannot be read ({error}): the broker will not start"]
    faults = []
    if missing := wanted - {one.serial_number for one in found}:
        faults.append(f"does not name {len(missing)} revoked certificates: the broker lets them in")
    if found.last_update_utc > now:
        faults.append(f"is good from {found.last_update_utc} on only, a clock was ahead: the broker lets nobody in")
    until = found.next_update_utc
    if until is None or until - now < _SOON:
        faults.append(f"is good until {until} only: after that the broker lets nobody in")
    return faults
