"""What can go wrong with a model, for whoever owns the bundle.

ModelError            the bundle, its graph or its result cannot be used
  AlignmentError      a frame does not lie on its golden reference: this one cannot be judged, the bundle is sound
  GateError           the bundle was made and measured, and the gate said no
  RequestError        what was asked for cannot be: nothing was done
  BusyError           another process has the store for longer than one waits: nothing was done
"""


class ModelError(Exception):
    """A bundle, graph or result cannot be trusted: wrong hash, wrong shape, NaN, time-out."""


class AlignmentError(ModelError):
    """A frame and its golden reference do not fit: size, place or content."""


class GateError(ModelError):
    """A check ran to its end and its answer was no."""


class RequestError(ModelError):
    """The caller asked for what cannot be, such as a bundle's name; nothing was done."""


class BusyError(ModelError):
    """Another process is changing what was to be changed; nothing was done, and it can be tried again."""
