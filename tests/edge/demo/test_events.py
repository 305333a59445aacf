"""Where the loop is, told from what the cloud's worker and rollout say."""

import json

from edge.demo.events import Course


def heard(course: Course, now_s: float, **event: object) -> list[str]:
    return [step.text for step in course.heard(json.dumps(event), now_s)]


def begun() -> Course:
    course = Course(0.0)
    heard(course, 10.0, event="begun", trigger="new labels", why="300 of 200")
    return course


def test_a_run_that_is_published_and_rolled_out_ends_live() -> None:
    course = begun()
    assert course.trigger == "new labels: 300 of 200"
    assert "INT8 gate" in heard(course, 12.0, event="step", step="train")[0]
    heard(course, 60.0, event="ended", result="published", reason="", release="cell-v2.bundle")
    assert (course.release, course.over) == ("cell-v2.bundle", False)
    assert course.rolled({"state": "running", "stage": "shadow", "why": "asked demo"}, 61.0)
    assert not course.rolled({"state": "running", "stage": "shadow", "why": "12 of 100 parts"}, 62.0)
    course.rolled({"state": "done", "stage": "100 %", "why": "live on 1 of 1"}, 90.0)
    assert (course.live, course.over, course.ended_s - course.fired_s) == (True, True, 80.0)


def test_a_gate_that_says_no_ends_the_loop_with_its_reason() -> None:
    course = begun()
    heard(course, 40.0, event="ended", result="refused", reason="escapes rise by 3", release=None)
    assert (course.over, course.live) == (True, False)
    assert course.why == "the run ended, refused: escapes rise by 3"


def test_a_rollout_that_stops_is_not_live() -> None:
    course = begun()
    heard(course, 40.0, event="ended", result="published", reason="", release="cell-v2.bundle")
    course.rolled({"state": "stopped", "stage": "shadow", "why": "demo went back: it broke"}, 50.0)
    assert (course.over, course.live, course.why) == (True, False, "demo went back: it broke")


def test_what_is_not_of_a_run_changes_nothing() -> None:
    course = Course(0.0)
    assert heard(course, 1.0, event="ready") == []
    assert not course.steps
