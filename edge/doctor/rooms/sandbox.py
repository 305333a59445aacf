"""The walls that systemd builds around the station: whether they leave it what station.toml names."""

from collections.abc import Iterator
from pathlib import Path

from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault
from edge.doctor.unit import Unit

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - whatever lies there is not the station's /tmp


def sandbox(around: Around) -> Iterator[Finding]:
    """Whether the unit's own walls leave the station what station.toml names."""
    unit = around.unit
    if unit is None or around.config is None:
        return
    if unit.last("ProtectSystem").lower() == "strict" and not _within(around.data_dir, _writable(unit)):
        found = f"the unit has ProtectSystem=strict, and {around.data_dir} is none of the folders that it may write"
        yield fault("permissions.walled-data", "sandbox", found, folder=around.data_dir)
    hidden: tuple[Path, ...] = _HOMES if unit.last("ProtectHome").lower() in {"yes", "true", "on", "1", "tmpfs"} else ()
    hidden += _TEMPORARY if unit.is_on("PrivateTmp") else ()
    for whose, path in _read_paths(around):
        if _within(path, hidden):
            found = f"the unit does not let the station see {path}, and {whose} needs it"
            yield fault("permissions.walled-file", "sandbox", found, file=path)


def _read_paths(around: Around) -> Iterator[tuple[str, Path]]:
    config = around.config
    assert config is not None  # noqa: S101 - asked before
    for camera in config.camera:
        replayed = (Path(camera.source),) if isinstance(camera.source, str) and "://" not in camera.source else ()
        for path in (*replayed, camera.password_file, camera.gentl):
            if path is not None and path.is_absolute():
                yield f"camera {camera.id!r}", path
    for product in config.product:
        if product.reference is not None:
            yield f"product {product.id!r}", product.reference


def _writable(unit: Unit) -> tuple[Path, ...]:
    own = [Path("/var/lib", word.partition(":")[0]) for word in unit.words("StateDirectory")]
    return (*own, *(Path(word) for word in unit.words("ReadWritePaths")))


def _within(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
