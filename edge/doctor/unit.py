"""What systemd's unit of the station says: the file, and what `systemctl edit` put over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNIT = "inspectd.service"
_FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_YES = frozenset({"yes", "true", "on", "1"})


@dataclass(frozen=True, slots=True)
class Unit:
    """The settings of its [Service] section by name; of one that is set several times, all values in their order."""

    settings: dict[str, tuple[str, ...]]

    def last(self, name: str, default: str = "") -> str:
        """A setting of which the last counts."""
        values = self.settings.get(name, ())
        return values[-1] if values else default

    def words(self, name: str) -> list[str]:
        """A setting that is a list, such as ReadWritePaths=; what goes before a path (`-`, `+`) is left out."""
        return [word.lstrip("-+") for value in self.settings.get(name, ()) for word in value.split()]

    def is_on(self, name: str) -> bool:
        """A setting that is yes or no; no where it is not set."""
        return self.last(name).lower() in _YES


def read_unit(root: Path) -> Unit | None:
    """The station's unit below a root; None where none is installed."""
    first = next((path for folder in _FOLDERS if (path := root / folder / UNIT).is_file()), None)
    if first is None:
        return None
    settings: dict[str, tuple[str, ...]] = {}
    over = [path for folder in reversed(_FOLDERS) for path in sorted((root / folder / f"{UNIT}.d").glob("*.conf"))]
    for path in (first, *over):
        for name, value in _service(path):
            settings[name] = (*settings.get(name, ()), value) if value else ()  # an empty one forgets those before
    return Unit(settings)


def _service(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ").splitlines()
    except OSError:
        return
    section = ""
    for line in (each.strip() for each in lines):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
