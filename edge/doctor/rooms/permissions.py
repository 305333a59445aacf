"""Who may read and write what: asked of the kernel as the user that the station runs as."""

import grp
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cloud_sync.wire.identity import Identity
from edge.config_outputs import GpioSection
from edge.doctor.around import Around, user_ids
from edge.doctor.finding import Finding, fault, ok
from edge.domain.secrets import redacted

_ASK_S = 5.0
_UNIX = "unix://"


def user(around: Around) -> Iterator[Finding]:
    """Whom the station runs as, and whether this command sees what it sees."""
    name = around.service_user
    if name is not None and user_ids(name) is None:
        yield fault("permissions.no-user", "user", f"the unit runs as {name!r}, and there is no such user", user=name)
    elif name == "root" or _runs_as_root(around):
        yield fault("permissions.root", "user", "the station runs as root")
    else:
        yield ok("permissions", "user", f"the station runs as {name or 'whoever starts it'}")
    if not around.may_look:
        yield fault(
            "permissions.cannot-look",
            "this command",
            f"user {os.getuid()} may not read {around.data_dir}",
            option=around.config_option,
        )


def _runs_as_root(around: Around) -> bool:
    owner = around.daemon
    try:
        return owner is not None and Path("/proc", owner).stat().st_uid == 0
    except OSError:
        return False


def data(around: Around) -> Iterator[Finding]:
    """Whether the station may write its data."""
    if not (os.access(around.data_dir, os.F_OK) and around.data_dir.is_dir()):
        return  # the disk's check says so
    whom = around.service_user
    if not _may(around, around.data_dir, "rwx"):
        found = f"{around.data_dir} ({_owner(around.data_dir)}) is not for user {whom or os.getuid()} to write"
        yield fault("permissions.data", "data", found, folder=around.data_dir, user=whom or "USER")
        return
    parts = [around.data_dir / f"station.db{end}" for end in ("", "-wal", "-shm")]
    locked = [part for part in parts if os.access(part, os.F_OK) and not _may(around, part, "rw")]
    if locked:
        found = f"{locked[0]} ({_owner(locked[0])}) is not for user {whom or os.getuid()} to write"
        yield fault("permissions.database", "data", found, folder=around.data_dir, user=whom or "USER")
    else:
        yield ok("permissions", "data", f"{around.data_dir} can be written")


def secrets(around: Around) -> Iterator[Finding]:
    """Whether anybody on this machine may read the passwords in station.toml."""
    if around.config is None or around.config_path is None:
        return
    sources = [camera.source for camera in around.config.camera if isinstance(camera.source, str)]
    if any(redacted(source) != source for source in sources) and _is_open(around.config_path):
        found = f"{around.config_path} holds a camera's password and is {_mode(around.config_path)}"
        yield fault("permissions.secrets", "station.toml", found, file=around.config_path)
    elif not _may(around, around.config_path, "r"):
        found = f"{around.config_path} ({_owner(around.config_path)}) is not for the station's user to read"
        yield fault("permissions.config", "station.toml", found, file=around.config_path)
    else:
        yield ok("permissions", "station.toml", f"{around.config_path} is {_mode(around.config_path)}")


def identity(around: Around) -> Iterator[Finding]:
    """Whether the station, and nobody else, may read its private key."""
    if around.config is None:
        return
    pem = Identity(around.config.identity_dir).pem
    if not os.access(pem, os.F_OK):
        return  # the certificates' check says so
    if _is_open(pem):
        yield fault("permissions.key-open", "private key", f"{pem} is {_mode(pem)}: others may read it", file=pem)
    elif not _may(around, pem, "r"):
        found = f"{pem} ({_owner(pem)}) is not for the station's user to read"
        yield fault("permissions.key-locked", "private key", found, file=pem, user=around.service_user or "USER")
    else:
        yield ok("permissions", "private key", f"{pem} is {_mode(pem)}")


def devices(around: Around) -> Iterator[Finding]:
    """Whether the station may open the devices that station.toml names."""
    for whose, device, group in _devices(around):
        if not device.exists():
            yield fault("permissions.no-device", "device", f"{device} is not there, and {whose} needs it")
        elif not _may(around, device, "rw"):
            found = f"{device} ({_owner(device)}) is not for the station's user, and {whose} needs it"
            yield fault(
                "permissions.device", "device", found, group=_group(device, group), user=around.service_user or "USER"
            )
        else:
            yield ok("permissions", "device", f"{device} can be opened, for {whose}")


def _devices(around: Around) -> Iterator[tuple[str, Path, str]]:
    if around.config is None:
        return
    for camera in around.config.camera:
        source = str(camera.source)
        device = Path(f"/dev/video{source}" if source.isdecimal() else source)
        if device.is_relative_to("/dev"):
            yield f"camera {camera.id!r}", device, "video"
    for output in around.config.output:
        if isinstance(output, GpioSection):
            yield f"output {output.id!r}", output.chip, "gpio"


def socket_folder(around: Around) -> Iterator[Finding]:
    """Whether the line port's socket can be made."""
    if around.config is None or not around.config.line.port.startswith(_UNIX):
        return
    folder = Path(around.config.line.port.removeprefix(_UNIX)).parent
    if str(folder) in _made_at_start(around):
        yield ok("permissions", "line port", f"{folder} is made at each start (RuntimeDirectory=)")
    elif not folder.is_dir():
        yield fault("permissions.no-socket-folder", "line port", f"{folder} is not there", folder=folder)
    elif not _may(around, folder, "wx"):
        found = f"{folder} ({_owner(folder)}) is not for the station's user to write"
        yield fault("permissions.socket-folder", "line port", found, folder=folder, user=around.service_user or "USER")
    else:
        yield ok("permissions", "line port", f"{folder} can be written")


def _made_at_start(around: Around) -> set[str]:
    unit = around.unit
    return set() if unit is None else {f"/run/{word}" for word in unit.words("RuntimeDirectory")}


def _may(around: Around, path: Path, how: str) -> bool:
    """Whether the station's user may: the kernel is asked, as that user where we may become it."""
    ids = around.service_ids
    if ids is None or os.geteuid() != 0:
        modes = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
        return all(os.access(path, modes[letter]) for letter in how)
    number, group, groups = ids
    tests = " && ".join(f'test -{letter} "$1"' for letter in how)
    command = ["/bin/sh", "-c", tests, "sh", str(path)]
    done = subprocess.run(command, user=number, group=group, extra_groups=groups, check=False, timeout=_ASK_S)
    return done.returncode == 0


def _is_open(path: Path) -> bool:
    """Whether people who are neither its owner nor, for a configuration, its group may read it."""
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IROTH | (stat.S_IRGRP | stat.S_IWGRP if path.suffix == ".pem" else 0)))


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def _group(device: Path, usual: str) -> str:
    """Whose group's a device is; the usual one's where it is root's."""
    number = device.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name if number else usual
    except KeyError:
        return usual


def _owner(path: Path) -> str:
    found = path.stat()
    return f"{found.st_uid}:{found.st_gid} {_mode(path)}"
