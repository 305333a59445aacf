"""Every decision about a release, without a disk or a clock."""

from dataclasses import replace

import pytest

from cloud_sync.wire.messages import Job, Stage
from edge.release.course import Course, Phase, Seen, Step, next_step
from edge.release.gates import Answer, Judgement

JOB = Job(job="j-1", kind="release", name="blob-v7.bundle", size_bytes=9, sha256="a" * 64)
SHADOW = Course(JOB, Phase.SHADOW, bundle="blob", version=2, before=1)
GOING_LIVE, LIVE = replace(SHADOW, phase=Phase.GOING_LIVE), replace(SHADOW, phase=Phase.LIVE)
GOING_BACK = replace(SHADOW, phase=Phase.GOING_BACK, why="it broke")
PASSED, FAILED = Judgement(Answer.PASSED), Judgement(Answer.FAILED, "it broke")


def seen(asked: Stage | None, active: int | None = 1, shadow: Judgement | None = None, **more: object) -> Seen:
    return Seen(asked, active, **({"shadow": shadow} if shadow else {}), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("course", "what", "step"),
    [
        pytest.param(Course(JOB), seen("shadow"), Step.CHECK, id="fetched, and shall look"),
        pytest.param(Course(JOB), seen("live"), Step.CHECK, id="fetched, and shall decide at once"),
        pytest.param(Course(JOB), seen("back"), Step.END, id="back, and it never decided"),
        pytest.param(Course(JOB), seen(None), Step.WAIT, id="withdrawn before it was checked"),
        pytest.param(SHADOW, seen("shadow", shadow=PASSED), Step.WAIT, id="good, and shall only look"),
        pytest.param(SHADOW, seen("live"), Step.WAIT, id="shall decide, and has not passed here"),
        pytest.param(SHADOW, seen("live", shadow=PASSED), Step.ACTIVATE, id="passed here, and shall decide"),
        pytest.param(SHADOW, seen("live", shadow=FAILED), Step.REJECT, id="failed here, whatever is asked"),
        pytest.param(SHADOW, seen(None), Step.END_SHADOW, id="withdrawn while it looks"),
        pytest.param(SHADOW, seen("live", 5, PASSED), Step.REJECT, id="a person activated another meanwhile"),
        pytest.param(SHADOW, seen("live", None, PASSED), Step.REJECT, id="none is active"),
        pytest.param(GOING_LIVE, seen("live", 1), Step.ACTIVATE, id="killed before the link moved"),
        pytest.param(GOING_LIVE, seen("live", 2), Step.SETTLE, id="killed after the link moved"),
        pytest.param(GOING_LIVE, seen(None, 2), Step.SETTLE, id="withdrawn after the link moved"),
        pytest.param(GOING_LIVE, seen(None, 1), Step.END, id="withdrawn before the link moved"),
        pytest.param(GOING_LIVE, seen("live", 5), Step.REJECT, id="a person was quicker"),
        pytest.param(LIVE, seen("live", 2), Step.WAIT, id="decides"),
        pytest.param(LIVE, seen("live", 2, live=PASSED), Step.PROVE, id="its probation is over"),
        pytest.param(LIVE, seen("live", 2, live=FAILED), Step.GO_BACK, id="fails on probation"),
        pytest.param(LIVE, seen(None, 2, live=FAILED), Step.GO_BACK, id="fails on probation, and was withdrawn"),
        pytest.param(replace(LIVE, proven=True), seen("live", 2, live=FAILED), Step.WAIT, id="is proven"),
        pytest.param(LIVE, seen("back", 2), Step.GO_BACK, id="the cloud wants it back"),
        pytest.param(replace(LIVE, proven=True), seen("back", 2), Step.GO_BACK, id="the cloud wants it back, later"),
        pytest.param(LIVE, seen("live", 2, untaken="the station did not"), Step.GO_BACK, id="is not taken"),
        pytest.param(LIVE, seen("live", 1), Step.END, id="a person went back"),
        pytest.param(LIVE, seen("back", 3, live=FAILED), Step.END, id="a person's bundle is left alone"),
        pytest.param(GOING_BACK, seen("live", 2), Step.GO_BACK, id="killed on the way back"),
        pytest.param(GOING_BACK, seen("live", 1), Step.END, id="killed after the way back"),
        pytest.param(GOING_BACK, seen("live", 5), Step.END, id="a person was quicker than the way back"),
        pytest.param(replace(LIVE, phase=Phase.BACK), seen("live", 1), Step.WAIT, id="back is the end"),
        pytest.param(replace(LIVE, phase=Phase.REJECTED), seen("live", 1, PASSED), Step.WAIT, id="rejected for good"),
    ],
)
def test_what_is_done_next(course: Course, what: Seen, step: Step) -> None:
    assert next_step(course, what)[0] is step


def test_a_way_back_that_a_kill_interrupted_still_says_why() -> None:
    assert next_step(GOING_BACK, seen("live", 2)) == (Step.GO_BACK, "it broke")
