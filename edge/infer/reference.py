"""A product's golden reference as the second input of a detector that compares."""

from edge.domain.frame import Image
from models.alignment import Golden
from models.letterbox import Placement, letterbox_into
from models.spec import ModelSpec
from models.tiling import Tile


class ReferenceInput:
    """Laid on one frame after the other, by one thread.

    Where it need not move, what the model takes of it is kept and copied.

    Args:
        image: the golden reference, (H, W, 3) uint8 BGR.
        spec: of a model that compares.
    """

    def __init__(self, image: Image, spec: ModelSpec) -> None:
        self._golden = Golden(image, spec.alignment)
        self._input = spec.inputs[1]
        self._laid = image
        self._ready: dict[Tile, Image] = {}

    def lay_on(self, frame: Image) -> None:
        """What `write` gives from now on belongs to this frame. Raises AlignmentError."""
        self._laid = self._golden.onto(frame)

    def write(self, tensor: Image, tile: Tile, place: Placement) -> None:
        """A tile of the reference into the request's second input, (height, width, 3)."""
        if self._laid is not self._golden.image:
            letterbox_into(self._laid[tile.window], tensor, place, self._input)
            return
        if tile not in self._ready:
            letterbox_into(self._laid[tile.window], tensor, place, self._input)
            self._ready[tile] = tensor.copy()
        else:
            tensor[:] = self._ready[tile]
