"""What can go wrong at the authority.

PkiError          the folder cannot be used, or the disk refuses
  RefusedError    somebody asked for a certificate that he must not have
  RequestError    whoever gave the command: what was asked for cannot be
"""


class PkiError(Exception):
    """The authority's folder cannot be used."""


class RefusedError(PkiError):
    """A certificate was asked for and is not given."""


class RequestError(PkiError):
    """The command's words are wrong; nothing was changed."""
