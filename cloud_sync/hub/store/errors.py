"""What can go wrong with the collector's store."""


class StoreError(Exception):
    """The database cannot be opened, read or written just now: try again, or see to disk, rights or server."""


class ContentError(StoreError):
    """The database works and refuses what is to be written: to try the same again is in vain."""


class BlobError(Exception):
    """The blob store cannot be reached, or does not hold what was asked for."""
