"""The pins of a lock file, and what is known of each where it is installed."""

import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from packaging.requirements import Requirement

from supply.faults import MisuseError

_PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([A-Za-z0-9.!+]+)((?: --hash=sha256:[0-9a-f]{64})+)")
_TEXTS = re.compile(r"(?i)(licen[cs]e|copying|notice|authors|third.party)")


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One distribution that is installed: its name, its version, and the sha256 of each archive that may bring it."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL, by which advisories and other tools know it."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> tuple[Pin, ...]:
    """Every pin of a lock file with hashes. Raises MisuseError for a line that is none, or a name that comes twice."""
    pins: dict[str, Pin] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = _PIN.fullmatch(line)
        if match is None:
            raise MisuseError(
                f"{path}:{number}: expected name==version --hash=sha256:..., got {line[:80]!r}: `make lock`"
            )
        name, version, hashes = match.groups()
        if name in pins:
            raise MisuseError(f"{path}:{number}: {name} comes twice: `make lock`")
        pins[name] = Pin(name, version, tuple(hashes.replace("--hash=sha256:", "").split()))
    return tuple(sorted(pins.values()))


def plain(name: str) -> str:
    """A distribution's name as locks write it."""
    return re.sub(r"[-_]+", "-", name).lower()


def installed(pin: Pin) -> importlib.metadata.Distribution:
    """The distribution in this environment. Raises MisuseError if it is another version, or none."""
    try:
        found = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError as fault:
        raise MisuseError(f"{pin.name} {pin.version} is not installed here: run by `make release`") from fault
    if found.version != pin.version:
        raise MisuseError(
            f"{pin.name}: the lock says {pin.version}, installed is {found.version}: `make clean`, then again"
        )
    return found


def needs(requires: Iterable[str]) -> set[str]:
    """The names that requirements name on this platform, without any extra."""
    wanted = (Requirement(line) for line in requires)
    return {plain(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}


def licence_texts(distribution: importlib.metadata.Distribution) -> dict[str, str]:
    """The licence files that a distribution brings, by their path in it."""
    files = [file for file in distribution.files or [] if ".dist-info" in file.parts[0] and _is_text(file)]
    return {str(file): file.locate().read_text(encoding="utf-8", errors="replace") for file in files}


def _is_text(file: PurePath) -> bool:
    return "licenses" in file.parts[1:-1] or _TEXTS.search(file.name) is not None
