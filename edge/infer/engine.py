"""What the pipeline needs of whatever runs a bundle."""

from typing import Protocol

from edge.domain.frame import Image
from models.detections import Detections
from models.errors import ModelError
from models.spec import ModelId, ModelSpec


class ModelTimeoutError(ModelError):
    """The model gave no answer in time."""


class Ticket(Protocol):
    """One frame on its way through the model."""

    def result(self, timeout_s: float) -> Detections:
        """The detections in frame coordinates; call once. Raises ModelError, ModelTimeoutError after `timeout_s`."""
        ...


class Engine(Protocol):
    """Runs one bundle; frames go in and come out in any number of flights, each wait bounded."""

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and what its classes mean."""
        ...

    @property
    def model_id(self) -> ModelId:
        """Which bundle this is."""
        ...

    def submit(self, image: Image, timeout_s: float) -> Ticket:
        """Start on a frame (H, W, 3) uint8 BGR, waiting at most `timeout_s` for a free request. Raises ModelError."""
        ...

    def selftest(self) -> None:
        """Run the bundle's own frames. Raises ModelError when an answer is not the expected one."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...
