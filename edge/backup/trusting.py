"""What a machine has seen of signed releases, beside what a kit says of that: a restore takes none of it back.

A kit may be older than the machine that it is put on. Whoever puts an old one there must not make a station take a
release again that it had left behind.
"""

import json
import shutil
from pathlib import Path

from models.trust.verifying import TAKEN, read_taken


def keep_seen(here: Path, staged: Path) -> None:
    """Put what is here into the staged folder, of each bundle the newer word. Nothing in the kit: nothing changes.

    Args:
        here: this machine's folder of what it saw; may be absent.
        staged: the kit's, which takes its place; may be absent.

    Raises:
        OSError: it cannot be read or written.
    """
    if not staged.is_dir() or not here.is_dir():
        return
    ours, kits = read_taken(here / TAKEN), read_taken(staged / TAKEN)
    shutil.copytree(here, staged, ignore=shutil.ignore_patterns(TAKEN, ".*"), dirs_exist_ok=True)
    newest = {bundle: max(ours.get(bundle, 0), kits.get(bundle, 0)) for bundle in {*ours, *kits}}
    (staged / TAKEN).write_text(json.dumps(newest, sort_keys=True), encoding="utf-8")
