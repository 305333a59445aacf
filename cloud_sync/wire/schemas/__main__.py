"""`python -m cloud_sync.wire.schemas` writes the schema files and the AsyncAPI document anew."""

import sys

from cloud_sync.wire import asyncapi
from cloud_sync.wire.schemas import write

asyncapi.PATH.write_text(asyncapi.text(), encoding="utf-8")
for path in (*write(), asyncapi.PATH):
    sys.stdout.write(f"{path}\n")
