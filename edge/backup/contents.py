"""What belongs in a kit: station.toml and the files it names, bundles in use, plans, masters, scales, learned checks.

- Keys and passwords are left out unless they are asked for by name: a new machine enrols and gets a key of its own.
- Users of the pages and what they did belong to this machine: their hashed passwords go nowhere, asked for or not.
- What lies outside the station's own folders, or belongs to this machine alone, is left out and named.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cloud_sync.wire.kit import CONFIG, KitFile, KitManifest
from edge.backup.secret_free import secret_free
from edge.config import StationConfig
from edge.config_outputs import MqttSection
from edge.domain.errors import StorageError
from edge.standing import installed_version
from models.bundle import MANIFEST, manifest_entries
from models.bundle_store import StoredBundle, list_bundles
from models.errors import ModelError
from models.trust.verifying import TAKEN

_LEARNED = ("plans", "masters", "scales", "checks")
_IDENTITY = ("ca.crt", "identity.pem", "root.json")


Known = dict[tuple[Path, int, int, int], KitFile]  # by path, inode, size and time of change


@dataclass(slots=True)
class Contents:
    """The files of a kit, and where each is read: a path, or the bytes themselves; what is known is not read again."""

    known: Known = field(default_factory=dict)
    files: dict[str, KitFile] = field(default_factory=dict)
    sources: dict[str, Path | bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, source: Path | bytes, stated: KitFile | None = None) -> None:
        """One more file; what is stated of it is believed. Raises OSError."""
        self.files[name] = stated or (hashed(source) if isinstance(source, bytes) else self._hashed(source))
        self.sources[name] = source

    def manifest(self, station: str) -> KitManifest:
        """Of what is there; the same files give the same manifest."""
        return KitManifest(
            station=station,
            version=installed_version(),
            files=dict(sorted(self.files.items())),
            links=dict(sorted(self.links.items())),
            left_out=self.left_out,
        )

    def _hashed(self, path: Path) -> KitFile:
        held = path.stat()
        key = path, held.st_ino, held.st_size, held.st_mtime_ns
        if key not in self.known:
            self.known[key] = hashed(path)
        return self.known[key]


def gather(config: StationConfig, *, secrets: bool, for_cloud: bool, known: Known | None = None) -> Contents:
    """All of it but database and images; bundles are taken at their manifest's word, and checked when they are copied.

    Args:
        config: as `load_config` read it from its file.
        secrets: the key, and files with passwords, as well.
        for_cloud: passwords are taken out of station.toml.
        known: hashes that an earlier call found; those that this one finds are added.

    Raises:
        StorageError: a file cannot be read.
    """
    found = Contents({} if known is None else known)
    try:
        text = config.file.read_text(encoding="utf-8")
        if for_cloud:
            text, hidden = secret_free(text)
            found.left_out += [f"a login or password in {CONFIG} ({hidden} places say ***)"] if hidden else []
        found.add(CONFIG, text.encode())
        _add_named(found, config, secrets=secrets)
        _add_bundles(found, config)
        for top in _LEARNED:
            for path in _plain_files(config.station.data_dir / top):
                found.add(f"data/{path.relative_to(config.station.data_dir).as_posix()}", path)
        if (taken := config.trust_dir / TAKEN).is_file():  # else a new machine would take an older release again
            found.add(f"data/{config.trust_dir.name}/{TAKEN}", taken)
        if secrets:
            _add_identity(found, config.identity_dir)
        if config.web.key is not None:
            found.left_out.append(f"certificate and key of the pages: {config.web.certificate}, {config.web.key}")
        if config.pages_path.exists():
            found.left_out.append(f"users of the pages: {config.pages_path}: add them anew with `edge user add`")
    except (OSError, ModelError) as error:
        raise StorageError(f"cannot read what belongs in a backup: {error}") from error
    return found


def hashed(source: Path | bytes) -> KitFile:
    """Hash and size of a source. Raises OSError."""
    if isinstance(source, bytes):
        return KitFile(sha256=hashlib.sha256(source).hexdigest(), size_bytes=len(source))
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return KitFile(sha256=digest, size_bytes=file.tell())


def named_files(config: StationConfig) -> set[str]:
    """What the files that station.toml names are called in a kit."""
    paths = [path for _, path in _named(config)] + [one.password_file for one in config.camera if one.password_file]
    return {name for path in paths if (name := _name_of(path, config)) is not None}


def _add_named(found: Contents, config: StationConfig, *, secrets: bool) -> None:
    """The files that station.toml names."""
    for what, path in _named(config):
        name = _name_of(path, config)
        if name is None:
            found.left_out.append(f"{what} {path}: it lies outside the station's folders")
        elif path.is_file():
            found.add(name, path)
    for camera in config.camera:
        if camera.password_file is not None:
            name = _name_of(camera.password_file, config)
            if secrets and name is not None and camera.password_file.is_file():
                found.add(name, camera.password_file)
            else:
                found.left_out.append(f"password file of camera {camera.id!r}: {camera.password_file}")
        if isinstance(camera.source, str) and Path(camera.source).exists():
            found.left_out.append(f"replayed pictures of camera {camera.id!r}: {camera.source}")
    own = {output.identity for output in config.output if isinstance(output, MqttSection)} - {config.identity_dir}
    found.left_out += [f"identity of an output: {path}" for path in sorted(map(str, own))]


def _named(config: StationConfig) -> Iterator[tuple[str, Path]]:
    if config.sync.trust_root is not None:
        yield "root of signed releases:", config.sync.trust_root
    for product in config.product:
        if product.reference is not None:
            yield f"reference of product {product.id!r}:", product.reference
    for camera in config.camera:
        if camera.gentl is not None:
            yield f"GenTL producer of camera {camera.id!r}:", camera.gentl


def _name_of(path: Path, config: StationConfig) -> str | None:
    """What a file is called in a kit: by its place in the data folder, or beside station.toml; None for any other."""
    whole = Path(os.path.normpath(path.absolute()))
    for top, folder in (("data", config.station.data_dir), ("beside", config.file.parent)):
        root = Path(os.path.normpath(folder.absolute()))
        if whole.is_relative_to(root) and whole != root:
            return f"{top}/{whole.relative_to(root).as_posix()}"
    return None


def _add_bundles(found: Contents, config: StationConfig) -> None:
    for bundle in list_bundles(config.bundles_dir):
        if bundle.active or bundle.previous:
            _add_bundle(found, bundle)


def _add_bundle(found: Contents, bundle: StoredBundle) -> None:
    folder = f"data/bundles/{bundle.id}/v{bundle.version}"
    found.add(f"{folder}/{MANIFEST}", bundle.path / MANIFEST)
    for name, entry in manifest_entries(bundle.path).items():
        stated = KitFile(sha256=entry.sha256, size_bytes=entry.size_bytes)
        found.add(f"{folder}/{name}", bundle.path / name, stated)
    for link, is_so in (("active", bundle.active), ("previous", bundle.previous)):
        if is_so:
            found.links[f"data/bundles/{bundle.id}/{link}"] = f"v{bundle.version}"


def _add_identity(found: Contents, folder: Path) -> None:
    for name in _IDENTITY:
        if (folder / name).is_file():
            found.add(f"identity/{name}", folder / name)


def _plain_files(folder: Path) -> list[Path]:
    """Every file below a folder that is one of ours: none that begins with a dot, none half written, no link."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".") and path.suffix != ".part"
    ]
