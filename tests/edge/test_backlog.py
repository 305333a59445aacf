import pytest

from edge.capture.backlog import Backlog

PERIOD_S = 0.05


def steady(images: int = 20) -> tuple[Backlog, float]:
    """A camera read as its images come; returns when the last one came."""
    backlog, came_s = Backlog(), 100.0
    for _ in range(images):
        assert not backlog.holds(came_s + 0.002, came_s + PERIOD_S)
        came_s += PERIOD_S
    return backlog, came_s


def test_images_that_waited_while_nobody_read_are_not_believed_until_one_is_waited_for() -> None:
    backlog, came_s = steady()
    asked_s = came_s + 0.35
    for _ in range(7):
        assert backlog.holds(asked_s, asked_s + 0.004)
        asked_s += 0.005
    assert not backlog.holds(asked_s, asked_s + 0.04)
    assert not backlog.holds(asked_s + 0.042, asked_s + 0.042 + PERIOD_S)


@pytest.mark.parametrize("late_s", [0.0, 0.01, 0.04])
def test_a_reader_a_little_late_loses_no_image(late_s: float) -> None:
    backlog, came_s = steady()
    for _ in range(50):
        assert not backlog.holds(came_s + late_s, came_s + PERIOD_S)
        came_s += PERIOD_S
