"""What the checks are given: the station as far as it is known, and where to look at the machine."""

import grp
import os
import pwd
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edge.config import StationConfig, load_config
from edge.doctor.unit import Unit, read_unit
from edge.domain.errors import ConfigError
from edge.record.lock import owner_of

INSTALLED_CONFIG = Path("/etc/inspectd/station.toml")
_LOOKS = 3  # the kernel's list of locks may miss one while others come and go


@dataclass(frozen=True, slots=True)
class Around:
    """A station and its machine.

    Args:
        data_dir: where it keeps, or would keep, its data.
        config_path: its station.toml; None: only the machine is looked at.
        config: what that says; None where there is none or it is wrong.
        config_error: why it is wrong.
        quick: leave out what takes long: pictures, self-tests, the database's own check.
        root: what stands for `/` where the machine is read; tests give a recorded tree.
        site: where Python's packages are looked for; empty: where this process finds them.
        now: the time by this machine's clock.
    """

    data_dir: Path
    config_path: Path | None = None
    config: StationConfig | None = None
    config_error: str = ""
    quick: bool = False
    root: Path = Path("/")
    site: tuple[str, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def config_option(self) -> str:
        """How a command names this station."""
        return "" if self.config_path is None else f" -c {shlex.quote(str(self.config_path))}"

    @property
    def daemon(self) -> str | None:
        """The process that runs this station now, by its number; None where none does."""
        return next((owner for _ in range(_LOOKS) if (owner := owner_of(self.data_dir))), None)

    @property
    def may_look(self) -> bool:
        """Whether this user sees what the station keeps; where not, it cannot even be told whether a daemon runs."""
        return may_enter(self.data_dir)

    @property
    def unit(self) -> Unit | None:
        """What the installed systemd unit says; None where there is none."""
        return read_unit(self.root)

    @property
    def service_user(self) -> str | None:
        """The user that the unit runs the station as; None: whoever starts it."""
        unit = self.unit
        return None if unit is None else unit.last("User", "root")

    @property
    def service_ids(self) -> tuple[int, int, list[int]] | None:
        """That user's number, group and all groups, those of the unit among them; None where there is no such user."""
        user, unit = self.service_user, self.unit
        ids = None if user is None else user_ids(user)
        if ids is None or unit is None:
            return ids
        number, group, groups = ids
        added = [
            found for name in (*unit.words("Group"), *unit.words("SupplementaryGroups")) if (found := _group(name))
        ]
        return number, group, [*groups, *added]

    def read(self, name: str) -> str:
        """A small file below the root, without the blanks around it; empty where there is none."""
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""


def make_around(config: Path | None, data_dir: Path | None, *, quick: bool) -> Around:
    """What is known of a station: of the file that is named, else of one that lies here or is installed.

    Args:
        config: its station.toml; one that cannot be used is a finding, not an error.
        data_dir: where its data lie, whatever the file says; without a file `data` if left out.
        quick: see `Around`.
    """
    path = config or next((each for each in (Path("station.toml"), INSTALLED_CONFIG) if _exists(each)), None)
    found, error = _loaded(path)
    data = data_dir or (Path("data") if found is None else found.station.data_dir)
    if found is not None and data_dir is not None:
        found = found.model_copy(update={"station": found.station.model_copy(update={"data_dir": data_dir})})
    return Around(data.absolute(), path, found, error, quick)


def may_enter(folder: Path) -> bool:
    """Whether this user may read a folder, if it is there."""
    return not os.path.lexists(folder) or os.access(folder, os.R_OK | os.X_OK)


def user_ids(name: str) -> tuple[int, int, list[int]] | None:
    """A user's number, group and further groups; None where there is no such user."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid)


def _loaded(path: Path | None) -> tuple[StationConfig | None, str]:
    if path is None:
        return None, ""
    try:
        return load_config(path), ""
    except ConfigError as error:
        return None, str(error)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
