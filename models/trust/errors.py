"""What can go wrong with signed releases, for whoever has to act.

TrustError            nothing is taken; what runs, runs on
  UnreachableError    the cloud did not answer, or has no signed metadata: ask again later
  ExpiredError        the signed metadata is too old: somebody keeps newer from us, or nobody renewed it
  ForgedError         it is not signed by whom we trust, is older than what we have seen, or is not what was signed
  RefusedError        signed, and not for this station to take: unknown, another station's, an older one
  KeyFileError        a key or its passphrase is absent or wrong; only where releases are signed
"""

from models.errors import ModelError


class TrustError(ModelError):
    """A release cannot be trusted just now. What runs, runs on."""


class UnreachableError(TrustError):
    """The signed metadata cannot be fetched."""


class ExpiredError(TrustError):
    """The signed metadata has expired: run on, take nothing new."""


class ForgedError(TrustError):
    """What came is not what a trusted key signed, or is older than what was seen before."""


class RefusedError(TrustError):
    """A release that is signed is not for this station, or not any more."""


class KeyFileError(TrustError):
    """A private key cannot be read or made."""
