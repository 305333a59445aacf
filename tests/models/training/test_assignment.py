import torch

from models.networks.detector import cell_centres
from models.training.assignment import PaddedTruth, assign, iou
from models.training.loss import detection_loss, generalised_iou

SIZE = 64
CENTRES, STRIDES = cell_centres(SIZE, SIZE)


def truth(*boxes: tuple[float, float, float, float, int]) -> PaddedTruth:
    flat = torch.tensor(boxes, dtype=torch.float32).reshape(1, -1, 5)
    return PaddedTruth(flat[..., :4], flat[..., 4].long(), torch.ones(flat.shape[:2], dtype=torch.bool))


def answers(box: tuple[float, float, float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Every cell is fairly unsure of both classes and proposes this box."""
    return torch.full((1, len(CENTRES), 2), 0.3), torch.tensor(box).expand(1, len(CENTRES), 4).clone()


def test_cells_outside_every_box_have_nothing_to_answer_for() -> None:
    targets = assign(*answers((10, 10, 40, 40)), CENTRES, STRIDES, truth((10, 10, 40, 40, 1)))
    centres = CENTRES[targets.positive[0]]
    assert 0 < len(centres) <= 10
    reach = STRIDES[targets.positive[0]][:, None]
    assert ((centres > 10) & (centres < 40) | ((centres - 25).abs() < reach)).all()
    assert targets.scores[0, :, 0].sum() == 0
    assert (targets.scores[0, targets.positive[0], 1] > 0).all()


def test_the_quality_asked_for_is_the_overlap_reached() -> None:
    targets = assign(*answers((10, 10, 40, 25)), CENTRES, STRIDES, truth((10, 10, 40, 40, 0)))
    assert torch.isclose(targets.scores.max(), torch.tensor(0.5), atol=1e-3)


def test_a_tiny_box_between_cell_centres_still_has_a_cell() -> None:
    targets = assign(*answers((7, 7, 10, 10)), CENTRES, STRIDES, truth((7, 7, 10, 10, 0)))
    assert targets.positive.any()


def test_a_cell_in_two_boxes_answers_for_the_one_it_overlaps_more() -> None:
    targets = assign(*answers((8, 8, 40, 40)), CENTRES, STRIDES, truth((0, 0, 64, 64, 0), (8, 8, 40, 40, 1)))
    inner = (targets.boxes_xyxy[0] == torch.tensor([8.0, 8, 40, 40])).all(1) & targets.positive[0]
    middle = ((CENTRES - 24).abs() < 8).all(1) & targets.positive[0]
    assert middle.any()
    assert inner[middle].all()


def test_without_any_box_every_cell_learns_to_say_nothing() -> None:
    empty = PaddedTruth(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 0, dtype=torch.bool))
    logits = torch.zeros(1, len(CENTRES), 2, requires_grad=True)
    losses = detection_loss(logits, torch.ones(1, len(CENTRES), 4), empty, SIZE, SIZE)
    losses[0].backward()
    assert losses[1] == 0
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_padding_in_the_truth_changes_nothing() -> None:
    short = truth((10, 10, 40, 40, 1))
    padded = PaddedTruth(
        torch.cat([short.boxes_xyxy, torch.zeros(1, 3, 4)], 1),
        torch.cat([short.class_ids, torch.zeros(1, 3, dtype=torch.long)], 1),
        torch.cat([short.valid, torch.zeros(1, 3, dtype=torch.bool)], 1),
    )
    logits, sides = torch.randn(1, len(CENTRES), 2), torch.rand(1, len(CENTRES), 4) * 20
    with_padding = detection_loss(logits, sides, padded, SIZE, SIZE)
    without = detection_loss(logits, sides, short, SIZE, SIZE)
    assert torch.allclose(torch.stack(with_padding), torch.stack(without))


def test_overlap_of_known_boxes() -> None:
    box, half = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 0, 15, 10]])
    assert torch.isclose(iou(box, half), torch.tensor(1 / 3)).all()
    assert torch.isclose(generalised_iou(box, half), torch.tensor(1 / 3)).all()
    apart = torch.tensor([[30.0, 0, 40, 10]])
    assert torch.isclose(generalised_iou(box, apart), torch.tensor(-0.5)).all()
