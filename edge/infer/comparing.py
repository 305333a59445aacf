"""Looking at frames beside a golden reference: one engine, many products."""

from edge.domain.frame import Image
from edge.infer.openvino import OpenVinoEngine, OpenVinoTicket
from edge.infer.reference import ReferenceInput
from models.spec import ModelId, ModelSpec


class ComparingEngine:
    """An engine that looks at every frame beside one product's golden reference; its requests are the other engine's.

    Args:
        engine: of a model that compares.
        reference: (H, W, 3) uint8 BGR.
    """

    def __init__(self, engine: OpenVinoEngine, reference: Image) -> None:
        self._engine = engine
        self._reference = ReferenceInput(reference, engine.spec)

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and what its classes mean."""
        return self._engine.spec

    @property
    def model_id(self) -> ModelId:
        """Which bundle this is."""
        return self._engine.model_id

    def submit(self, image: Image, timeout_s: float) -> OpenVinoTicket:
        """Lay the reference on the frame and start. Raises ModelError, AlignmentError where it does not fit."""
        return self._engine.start(image, self._reference, timeout_s)

    def selftest(self) -> None:
        """Run the bundle's own frames. Raises ModelError."""
        self._engine.selftest()

    def close(self) -> None:
        """Let go of the model."""
        self._engine.close()
