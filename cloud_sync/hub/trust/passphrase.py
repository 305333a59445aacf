"""Where the passphrase of the keys comes from: a file, the environment, or a person; never the command line."""

import getpass
import os
import sys
from pathlib import Path

from models.trust.errors import KeyFileError

VARIABLE = "INSPECTD_TRUST_PASSPHRASE"


def given_passphrase(file: Path | None) -> bytes | None:
    """What a file holds on its first line, else what the environment says; None where neither does.

    Raises:
        KeyFileError: the file cannot be read, is empty, or can be read by others than its owner.
    """
    if file is None:
        return os.environ.get(VARIABLE, "").encode() or None
    try:
        content, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise KeyFileError(f"cannot read the passphrase in {file}: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"others than its owner can read the passphrase in {file}: chmod 600 {file}")
    if not (found := content.partition(b"\n")[0].strip()):
        raise KeyFileError(f"{file} holds no passphrase on its first line")
    return found


def asked_passphrase(file: Path | None, *, twice: bool = False) -> bytes:
    """As `given_passphrase`, and a person at a terminal is asked where nothing is given. Raises KeyFileError."""
    if (given := given_passphrase(file)) is not None:
        return given
    if not sys.stdin.isatty():
        raise KeyFileError(f"no passphrase was given: --passphrase-file FILE, or {VARIABLE} in the environment")
    said = getpass.getpass("passphrase of the root and targets keys: ")
    if not said or (twice and said != getpass.getpass("once more: ")):
        raise KeyFileError("the passphrase is empty, or was not the same twice")
    return said.encode()
