"""The boxes in a `feedback` message: a list of objects with camera, label and box_xyxy. Pure."""

from edge.domain.errors import ConfigError, OutputError
from edge.domain.feedback import BOXES_LIMIT, SaidBox

_CORNERS = 4


def boxes_from(value: object) -> tuple[SaidBox, ...]:
    """The boxes of a message; none where it has none. Raises OutputError."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > BOXES_LIMIT:
        raise OutputError(f"boxes must be a list of at most {BOXES_LIMIT}, got {value!r:.140}")
    return tuple(_box(one) for one in value)


def _box(value: object) -> SaidBox:
    if not isinstance(value, dict) or set(value) != {"camera", "label", "box_xyxy"}:
        raise OutputError(f"a box has camera, label and box_xyxy, got {value!r:.140}")
    camera, label, corners = value["camera"], value["label"], value["box_xyxy"]
    if not isinstance(camera, str) or not isinstance(label, str):
        raise OutputError(f"camera and label of a box must be strings, got {value!r:.140}")
    numbers = corners if isinstance(corners, list) else []
    if len(numbers) != _CORNERS or not all(type(one) in {int, float} and abs(one) < 1e9 for one in numbers):  # noqa: PLR2004 - no picture is so wide
        raise OutputError(f"box_xyxy must be four numbers, got {corners!r:.140}")
    left, top, right, bottom = map(float, numbers)
    try:
        return SaidBox(camera, label, (left, top, right, bottom))
    except ConfigError as error:
        raise OutputError(str(error)) from error
