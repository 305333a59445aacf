"""Deciding what goes when the disk is short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.record.eviction import (
    IMAGES,
    RECORDS,
    Eviction,
    Kind,
    Limits,
    Usage,
    is_filling,
    is_short_of_disk,
    may_give_back,
    next_to_go,
)

LIMITS = Limits(images_bytes=1000, records_bytes=1000, free_bytes=1000)
ENOUGH = Usage(images_bytes=1000, records_bytes=1000, free_bytes=1000)
BYTES = st.integers(0, 3000)
USAGES = st.builds(Usage, BYTES, BYTES, BYTES, BYTES)


def test_nothing_goes_while_every_budget_holds() -> None:
    assert next_to_go(ENOUGH, LIMITS, ()) is None


@pytest.mark.parametrize(
    ("usage", "order"),
    [
        pytest.param(
            Usage(images_bytes=1001, free_bytes=1000), sorted(IMAGES), id="images over their budget: images alone"
        ),
        pytest.param(Usage(records_bytes=1001, free_bytes=1000), sorted(RECORDS), id="records over theirs: records"),
        pytest.param(
            Usage(free_bytes=999), sorted(set(Kind) - {Kind.UNSENT}), id="too little free: all but the unsent"
        ),
        pytest.param(Usage(1001, 1001, 0, 0), sorted(Kind), id="all at once: all, by what they are worth"),
    ],
)
def test_the_least_worth_goes_first_of_what_the_short_budget_names(usage: Usage, order: list[Kind]) -> None:
    gone: list[Kind] = []
    while (eviction := next_to_go(usage, LIMITS, gone)) is not None:
        gone.append(eviction.kind)
    assert gone == order


def test_good_parts_go_before_acknowledged_history_and_rejects_after_it() -> None:
    assert Kind.GOOD_IMAGES < Kind.AUDIT_UPLOADS < Kind.HISTORY < Kind.OTHER_IMAGES < Kind.REJECT_UPLOADS
    assert Kind.REJECT_UPLOADS < Kind.UNDECIDED_UPLOADS < Kind.OVERRULED_UPLOADS < Kind.UNSENT == max(Kind)


def test_images_go_a_little_below_their_budget_records_to_it() -> None:
    assert next_to_go(Usage(images_bytes=1001, free_bytes=1000), LIMITS, ()) == Eviction(Kind.GOOD_IMAGES, 51)
    assert next_to_go(Usage(records_bytes=1003, free_bytes=1000), LIMITS, ()) == Eviction(Kind.HISTORY, 3)


def test_pages_that_the_next_records_take_count_as_free() -> None:
    assert not is_short_of_disk(Usage(reusable_bytes=600, free_bytes=400), LIMITS)
    assert is_short_of_disk(Usage(reusable_bytes=599, free_bytes=400), LIMITS)


@given(USAGES, st.sets(st.sampled_from(Kind)))
def test_what_the_cloud_never_saw_goes_only_where_the_records_own_budget_is_full(usage: Usage, gone: set[Kind]) -> None:
    eviction = next_to_go(usage, LIMITS, gone)
    if eviction is not None and eviction.kind is Kind.UNSENT:
        assert usage.records_bytes > LIMITS.records_bytes
        assert Kind.HISTORY in gone


@given(USAGES, st.sets(st.sampled_from(Kind)))
def test_what_goes_is_wanted_and_was_not_gone(usage: Usage, gone: set[Kind]) -> None:
    eviction = next_to_go(usage, LIMITS, gone)
    assert eviction is None or (eviction.wanted_bytes > 0 and eviction.kind not in gone)


@pytest.mark.parametrize(
    ("usage", "gives"),
    [
        pytest.param(Usage(records_bytes=1000, reusable_bytes=10, free_bytes=1000), False, id="a little unused"),
        pytest.param(Usage(records_bytes=1000, reusable_bytes=500, free_bytes=1000), True, id="larger than its budget"),
        pytest.param(Usage(records_bytes=10, reusable_bytes=900, free_bytes=0), False, id="the verdicts' reserve"),
        pytest.param(Usage(records_bytes=1021, reusable_bytes=0, free_bytes=0), False, id="nothing unused"),
    ],
)
def test_unused_pages_are_given_back_only_where_somebody_gains_by_it(usage: Usage, gives: bool) -> None:  # noqa: FBT001
    assert may_give_back(usage, LIMITS) is gives


def test_beyond_the_reserve_unused_pages_are_given_back_where_the_disk_is_short() -> None:
    limits = Limits(1 << 40, 1 << 40, 1 << 30)
    assert may_give_back(Usage(reusable_bytes=17 << 20), limits)
    assert not may_give_back(Usage(reusable_bytes=17 << 20, free_bytes=1 << 30), limits)


def test_somebody_hears_of_a_budget_before_it_is_full() -> None:
    assert is_filling(Usage(records_bytes=801), LIMITS)
    assert not is_filling(Usage(records_bytes=800), LIMITS)
