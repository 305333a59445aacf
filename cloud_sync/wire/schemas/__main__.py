"""`python -m cloud_sync.wire.schemas` writes the schema files anew."""

import sys

from cloud_sync.wire.schemas import write

for path in write():
    sys.stdout.write(f"{path}\n")
