"""Where a kit may write: a kit says itself where its data belongs, and who made it may not choose any place for that.

An administrator restores as root. A station that was broken into, or whoever hands over a file, could otherwise name
/etc as the data folder, and root's own folder as the one for the identity.
"""

import os
from pathlib import Path

from cloud_sync.wire.identity import CA_FILE, IDENTITY_FILE, TRUST_ROOT_FILE
from cloud_sync.wire.kit import KitManifest
from edge.backup.contents import named_files
from edge.config import StationConfig, load_config
from edge.domain.errors import ConfigError
from models.trust.verifying import TAKEN

INSTALLED_DATA = Path("/var/lib/inspectd")
_TOPS = {"station.db", "images", "bundles", "plans", "masters", "scales", "checks"}
_SEEN = f"data/trust/{TAKEN}"  # of that folder nothing else: what is signed is no kit's to say
_IDENTITY = {f"identity/{CA_FILE}", f"identity/{IDENTITY_FILE}", f"identity/{TRUST_ROOT_FILE}"}


def check_places(config: StationConfig, config_path: Path, said: Path | None) -> None:
    """Raises ConfigError where the kit's folders are none that this machine has for a station, nor asked for by name.

    Args:
        config: the kit's, its paths taken from where it will lie.
        config_path: where station.toml goes.
        said: the data folder that somebody said by name.
    """
    data, beside = _whole(config.station.data_dir), _whole(config_path.parent)
    trusted = [beside, _whole(INSTALLED_DATA), *_here(config_path), *([] if said is None else [_whole(said)])]
    if data not in trusted and not _is_plainly_below(data, beside):
        raise ConfigError(
            f"the kit puts its data in {data}, which is neither {INSTALLED_DATA} nor below {beside}: nothing was "
            f"changed; if that is right, say --data-dir {data}"
        )
    identity = _whole(config.identity_dir)
    if not any(_is_plainly_below(identity, place) for place in (data, beside)) and identity not in _here(config_path):
        raise ConfigError(
            f"the kit puts its identity in {identity}, which is neither below {data} nor below {beside}: nothing was "
            "changed; restore a backup without that, and set sync.identity by hand"
        )


def check_names(config: StationConfig, manifest: KitManifest) -> None:
    """Raises ConfigError where the kit holds what no station has in these folders."""
    named = named_files(config)
    for name in manifest.files:
        top, _, rest = name.partition("/")
        ours = name in _IDENTITY or name == _SEEN or name in named or (top == "data" and rest.split("/")[0] in _TOPS)
        if rest and (not ours or any(step.startswith(".") for step in rest.split("/"))):
            raise ConfigError(f"the kit holds {name[:120]!r}, which belongs to no station: nothing was changed")


def _here(config_path: Path) -> list[Path]:
    """The folders of the station that is here."""
    if not config_path.exists():
        return []
    try:
        here = load_config(config_path)
    except ConfigError:
        return []  # one that cannot be read vouches for nothing
    return [_whole(here.station.data_dir), _whole(here.identity_dir)]


def _is_plainly_below(path: Path, folder: Path) -> bool:
    """Below it, and in no hidden folder: one's own home holds keys in such."""
    return path.is_relative_to(folder) and not any(step.startswith(".") for step in path.relative_to(folder).parts)


def _whole(path: Path) -> Path:
    return Path(os.path.realpath(path))
