"""How far a release may go, as tables, and what holds for any story that stations can tell."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.hub.rollout.plan import PlanError, RolloutPlan, pack_plan, unpack_plan
from cloud_sync.hub.rollout.stages import Asked, Counts, Decision, Standing, What, decide, share
from cloud_sync.hub.rollout.watching import watch

PLAN = RolloutPlan(shadow_parts=100, live_parts=50, min_minutes=1, patience_minutes=30)
MINUTE_MS = 60_000
LONG_MS = 31 * MINUTE_MS
SHADOWED = Counts(parts=100, rejects=9, champion_rejects=10, disagreements=3, passes_of_rejects=2)
LIVED = Counts(parts=50, rejects=5)
LOOKS = Standing("a", Asked.SHADOW, "shadow", counts=SHADOWED)
DECIDES = Standing("a", Asked.LIVE, "live", counts=LIVED)


def others(count: int) -> tuple[Standing, ...]:
    return tuple(Standing(f"s{index}") for index in range(count))


@pytest.mark.parametrize(
    ("stage", "canary", "what", "says"),
    [
        pytest.param(0, Standing("a"), What.WAIT, "asked a", id="the canary is asked first"),
        pytest.param(0, replace(LOOKS, state="asked"), What.WAIT, "did not answer yet", id="not answered"),
        pytest.param(0, replace(LOOKS, state="downloading"), What.WAIT, "at downloading", id="on its way"),
        pytest.param(0, replace(LOOKS, counts=Counts(parts=99)), What.WAIT, "99 of 100", id="too few parts"),
        pytest.param(0, replace(LOOKS, online=False), What.WAIT, "offline", id="offline for a while"),
        pytest.param(0, replace(LOOKS, trouble=("not ready",)), What.WAIT, "not ready", id="trouble"),
        pytest.param(0, LOOKS, What.ADVANCE, "shadow is through", id="through"),
        pytest.param(1, LOOKS, What.WAIT, "asked a", id="the canary is asked to decide"),
        pytest.param(1, replace(LOOKS, asked=Asked.LIVE), What.WAIT, "goes on to live", id="still looks"),
        pytest.param(1, replace(DECIDES, counts=Counts(parts=49)), What.WAIT, "49 of 50", id="decided too few"),
        pytest.param(1, DECIDES, What.ADVANCE, "canary is through", id="canary through"),
        pytest.param(2, DECIDES, What.WAIT, "asked s0", id="10 % of 20 stations"),
        pytest.param(3, DECIDES, What.WAIT, "asked s0, s1", id="all"),
    ],
)
def test_a_stage_is_left_when_all_that_it_asks_is_there(stage: int, canary: Standing, what: What, says: str) -> None:
    found = decide(PLAN, stage, 2 * MINUTE_MS, (canary, *others(19)))
    assert (found.what, says in found.why) == (what, True), found


@pytest.mark.parametrize(
    ("canary", "says"),
    [
        pytest.param(replace(LOOKS, state="rejected", why="NaN"), "rejected it: NaN", id="rejected"),
        pytest.param(replace(DECIDES, state="back", why="probation"), "went back: probation", id="went back"),
        pytest.param(replace(LOOKS, state="live"), "only asked to look", id="decides unasked"),
        pytest.param(replace(LOOKS, counts=replace(SHADOWED, faults=1)), "broke on 1 of 101", id="one NaN"),
        pytest.param(replace(LOOKS, counts=replace(SHADOWED, undecided=2)), "left undecided", id="undecided"),
        pytest.param(replace(LOOKS, counts=replace(SHADOWED, disagreements=6)), "judged otherwise", id="disagrees"),
        pytest.param(
            replace(LOOKS, counts=Counts(100, champion_rejects=6, passes_of_rejects=6, disagreements=5)),
            "6 of 6 parts that the model in use rejects are passed",
            id="always PASS where few are bad",
        ),
        pytest.param(
            replace(LOOKS, counts=Counts(20, rejects=20, champion_rejects=2, disagreements=5)),
            "it rejects 20 of 20 parts",
            id="always REJECT is seen before the parts are complete",
        ),
        pytest.param(replace(DECIDES, counts=replace(LIVED, faults=1)), "broke, or gave no answer", id="broke live"),
        pytest.param(replace(DECIDES, counts=replace(LIVED, undecided=1)), "left undecided", id="undecided live"),
        pytest.param(replace(LOOKS, silent_ms=LONG_MS), "nothing was heard of the canary", id="canary lost"),
    ],
)
def test_a_failed_gate_stops_everything_and_calls_everybody_back(canary: Standing, says: str) -> None:
    looking = Standing("s0", Asked.LIVE, "downloading")
    for stage in range(4):
        found = decide(PLAN, stage, 0, (canary, looking, *others(3)))
        assert (found.what, says in found.why) == (What.STOP, True), found
        assert dict(found.asks) == {"a": Asked.BACK, "s0": Asked.BACK}


def test_any_station_that_fails_stops_the_fleet() -> None:
    bad = Standing("s0", Asked.LIVE, "back", "on probation: it rejects too much")
    found = decide(PLAN, 3, 0, (DECIDES, bad, replace(DECIDES, station="s1")))
    assert found.what is What.STOP
    assert set(found.asks) == {("a", Asked.BACK), ("s0", Asked.BACK), ("s1", Asked.BACK)}


def test_a_stage_lasts_as_long_as_it_should_though_all_are_through() -> None:
    found = decide(PLAN, 0, MINUTE_MS // 2, (LOOKS,))
    assert found == Decision(What.WAIT, "all are through; this stage lasts 0.5 minutes more")


def test_a_station_that_is_silent_holds_up_nobody_for_ever_and_stays_asked() -> None:
    gone = Standing("s0", Asked.LIVE, "asked", online=False, silent_ms=LONG_MS, idle_ms=LONG_MS)
    soon = replace(gone, silent_ms=MINUTE_MS, idle_ms=MINUTE_MS)
    assert decide(PLAN, 2, LONG_MS, (DECIDES, soon)).what is What.WAIT
    found = decide(PLAN, 3, LONG_MS, (DECIDES, gone))
    assert (found.what, found.asks) == (What.DONE, ())
    assert "they follow when they are back: s0" in found.why


def test_who_is_there_goes_before_who_is_not() -> None:
    away = replace(Standing("s0"), online=False)
    found = decide(PLAN, 2, 0, (DECIDES, away, *(Standing(f"t{index}") for index in range(18))))
    assert found.asks == (("t0", Asked.LIVE),)


def test_a_station_that_has_not_gone_back_from_another_release_is_not_asked() -> None:
    busy = Standing("s0", busy="it has not gone back from cells-v6.bundle yet")
    found = decide(PLAN, 3, 0, (DECIDES, busy))
    assert (found.what, found.asks, "cells-v6" in found.why) == (What.WAIT, (), True)
    assert decide(PLAN, 0, 0, (replace(busy, station="a"),)).asks == ()


COUNTS = st.builds(
    Counts,
    parts=st.sampled_from([0, 49, 50, 99, 100, 10**12]),
    disagreements=st.sampled_from([0, 0, 0, 4, 6, 10**12]),
    undecided=st.sampled_from([0, 0, 0, 1, 2]),
    rejects=st.sampled_from([0, 3, 3, 50]),
    champion_rejects=st.sampled_from([0, 3, 3, 9]),
    passes_of_rejects=st.sampled_from([0, 0, 1, 6]),
    faults=st.sampled_from([0, 0, 0, 0, 1]),
)
STATES = ("asked", "offered", "downloading", "verified", "selftest", "shadow", "live", "back", "rejected")
WORD = st.tuples(
    st.sampled_from(["shadow", "live", "live", *STATES]),
    COUNTS,
    st.booleans(),
    st.sampled_from([0, MINUTE_MS, LONG_MS]),
    st.sampled_from([(), (), ("not ready",)]),
)
Word = tuple[str, Counts, bool, int, tuple[str, ...]]
ORDER = [Asked.NOTHING, Asked.SHADOW, Asked.LIVE, Asked.BACK]


@pytest.mark.parametrize(
    ("examples", "most"), [pytest.param(60, 12, id="few"), pytest.param(300, 25, id="many", marks=pytest.mark.long)]
)
def test_whatever_stations_say_the_share_holds_a_failure_stops_and_nothing_goes_to_and_fro(
    examples: int, most: int
) -> None:
    fleet = st.lists(WORD, min_size=most, max_size=most)

    @settings(max_examples=examples, deadline=None)
    @given(count=st.integers(1, most), rounds=st.lists(fleet, min_size=1, max_size=12))
    def hear(count: int, rounds: list[list[Word]]) -> None:
        _holds(count, rounds)

    hear()


def _holds(count: int, rounds: list[list[Word]]) -> None:
    stations = tuple(Standing(f"s{index}") for index in range(count))
    stage = 0
    for words in rounds:
        stations = tuple(
            replace(
                one, state=word[0], counts=word[1], online=word[2], silent_ms=word[3], idle_ms=word[3], trouble=word[4]
            )
            if one.asked is not Asked.NOTHING
            else one
            for one, word in zip(stations, words, strict=False)
        )
        decision = decide(PLAN, stage, 5 * MINUTE_MS, stations)
        before = {one.station: one.asked for one in stations}
        asks = dict(decision.asks)
        assert all(ORDER.index(asked) > ORDER.index(before[name]) for name, asked in asks.items())
        stations = tuple(replace(one, asked=asks.get(one.station, one.asked)) for one in stations)
        assert sum(one.asked is Asked.LIVE for one in stations) <= share(PLAN, stage, count) <= max(1, count)
        ended = any(one.state in {"back", "rejected"} for one in stations if before[one.station] is not Asked.NOTHING)
        assert not ended or decision.what is What.STOP
        if decision.what is What.STOP:
            assert not any(one.asked in {Asked.SHADOW, Asked.LIVE} for one in stations)
        if decision.what in {What.STOP, What.DONE}:
            return
        stage += decision.what is What.ADVANCE


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps_percent": (10,)},
        {"steps_percent": (100, 100)},
        {"steps_percent": ()},
        {"shadow_parts": 0},
        {"disagreement_most": 1.1},
        {"min_minutes": float("nan")},
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        RolloutPlan(**wrong)  # type: ignore[arg-type]


def test_a_plan_survives_the_store() -> None:
    plan = replace(PLAN, canary="a", stations=("a", "b"), steps_percent=(5, 50, 100))
    assert unpack_plan(pack_plan(plan)) == plan
    with pytest.raises(PlanError):
        unpack_plan('{"shadow_parts": "many"}')


def test_a_station_that_decides_by_it_and_stands_still_in_a_fault_stops_the_rollout_for_all() -> None:
    fallen = Standing("s0", Asked.LIVE, "live", Counts(parts=7), idle_ms=LONG_MS, trouble=("fault camera",))
    found = decide(PLAN, 2, 2 * MINUTE_MS, (DECIDES, fallen, *others(18)[1:]))
    assert (found.what, "s0 stands still" in found.why) == (What.STOP, True), found
    assert dict(found.asks) == {"a": Asked.BACK, "s0": Asked.BACK}
    early = decide(PLAN, 2, 2 * MINUTE_MS, (DECIDES, replace(fallen, idle_ms=MINUTE_MS), *others(18)[1:]))
    assert early.what is What.WAIT


def test_a_step_that_only_silent_stations_took_has_shown_nothing_and_goes_no_further() -> None:
    gone = Standing("s0", Asked.LIVE, "live", online=False, silent_ms=LONG_MS, idle_ms=LONG_MS)
    found = decide(PLAN, 2, LONG_MS, (DECIDES, gone, *others(19)[1:]))
    assert (found.what, "nobody but the canary has proven it, and nothing is heard of s0" in found.why) == (
        What.WAIT,
        True,
    )
    assert decide(PLAN, 2, LONG_MS, (DECIDES, replace(DECIDES, station="s0"), *others(19)[1:])).what is What.ADVANCE


HOUR_MS = 60 * MINUTE_MS
WATCHED = replace(PLAN, watch_hours=24)
PROVEN = replace(DECIDES, station="s0", counts=Counts(parts=900, rejects=40))


@pytest.mark.parametrize(
    ("one", "says"),
    [
        pytest.param(replace(PROVEN, state="back", why="probation"), "s0 went back: probation", id="goes back"),
        pytest.param(replace(PROVEN, state="rejected", why="NaN"), "s0 rejected it: NaN", id="a late one rejects it"),
        pytest.param(replace(PROVEN, counts=Counts(900, faults=1)), "broke, or gave no answer, on 1", id="it breaks"),
        pytest.param(
            replace(PROVEN, counts=Counts(3), trouble=("fault model",), idle_ms=LONG_MS),
            "s0 stands still",
            id="a late one stands still",
        ),
    ],
)
def test_what_a_station_says_against_it_after_the_end_stops_it_for_all_while_it_is_watched(
    one: Standing, says: str
) -> None:
    found = watch(WATCHED, 23 * HOUR_MS, (DECIDES, one))
    assert (found.what, says in found.why) == (What.STOP, True), found
    assert dict(found.asks) == {"a": Asked.BACK, "s0": Asked.BACK}
    after = watch(WATCHED, 25 * HOUR_MS, (DECIDES, one))
    assert (after.what, after.asks, "alarm: s0" in after.why) == (What.WAIT, (), True), after


@pytest.mark.parametrize(
    ("one", "says"),
    [
        pytest.param(
            replace(PROVEN, trouble=("fault camera",), idle_ms=LONG_MS),
            "alarm: s0 stands still since it decides by it: fault camera",
            id="stands still",
        ),
        pytest.param(
            replace(PROVEN, counts=Counts(900, undecided=100)),
            "alarm: s0 in live: 100 of 900",
            id="a camera that was pushed",
        ),
    ],
)
def test_a_station_that_had_proven_it_and_has_a_fault_later_is_named_and_calls_nobody_back(
    one: Standing, says: str
) -> None:
    found = watch(WATCHED, HOUR_MS, (DECIDES, one))
    assert (found.what, found.asks, says in found.why) == (What.WAIT, (), True), found


def test_who_is_silent_after_the_end_is_named_until_it_has_proven_it() -> None:
    late = Standing("s0", Asked.LIVE, "downloading", online=False, silent_ms=LONG_MS, idle_ms=LONG_MS)
    assert "not proven at these, and they follow when they are back: s0" in watch(PLAN, 0, (DECIDES, late)).why
    assert watch(PLAN, 0, (DECIDES, PROVEN)).why == "2 of 2 stations decide by it"
