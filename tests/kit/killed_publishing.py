"""Publishes a release: `killed_publishing.py STORE BLOBS KEYS ARCHIVE VERSION`; whoever traces it ends it."""

import sys
from dataclasses import replace
from pathlib import Path

from trust_kit import about

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.trust.publishing import publish_release
from models.archive import manifest_sha256
from models.trust.keys import TrustKeys

PASSPHRASE = b"nine small boats"


def main() -> None:
    store, blobs, keys, archive, version = sys.argv[1:]
    what = replace(about(int(version)), bundle_sha256=manifest_sha256(Path(archive)))
    publish_release(store, FolderBlobs(Path(blobs)), TrustKeys(Path(keys), PASSPHRASE), Path(archive), what)


if __name__ == "__main__":
    main()
