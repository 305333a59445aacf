"""The second table compares the same parts only, and claims no more than the tests prove."""

import json

from edge.demo.second import compare_sides, in_words

BAD, GOOD = [f"b{number}.png" for number in range(40)], [f"g{number}.png" for number in range(40)]
TRUTH = dict.fromkeys(BAD, 1.0) | dict.fromkeys(GOOD, 0.0)


def records(verdicts: dict[str, str], model: str = "cell", version: int = 1) -> dict[str, bytes]:
    said = {"id": model, "version": version, "precision": "INT8"}
    return {
        f"demo/{version}/{name}": json.dumps(
            {"verdict": verdict, "views": [{"source": name, "score": float(verdict != "PASS"), "model": said}]}
        ).encode()
        for name, verdict in verdicts.items()
    }


def passing(*names: str) -> dict[str, str]:
    return {name: "PASS" if name in names else "REJECT" for name in TRUTH}


def test_a_change_is_told_with_its_direction_only_where_it_is_proven() -> None:
    before, after = records(passing(*BAD[:20], *GOOD)), records(passing(*BAD[:5], *GOOD[1:]), version=2)
    found = compare_sides(before, after, TRUTH)
    assert (found.before.escape.value, found.after.escape.value) == (0.5, 0.125)
    assert (found.before.models, found.after.models) == (("cell v1 INT8",), ("cell v2 INT8",))
    assert (found.paired_escape.only_champion, found.paired_escape.only_challenger) == (15, 0)
    assert (found.paired_overkill.only_champion, found.paired_overkill.only_challenger) == (0, 1)
    assert in_words(found).startswith("escape fell (50.0% to 12.5%); overkill shows no proven difference")


def test_what_got_worse_is_said_to_be_worse() -> None:
    before, after = records(passing(*GOOD)), records(passing(*GOOD[20:]))
    assert "overkill rose (0.0% to 50.0%)" in in_words(compare_sides(before, after, TRUTH))


def test_only_parts_that_both_inspected_are_compared() -> None:
    before, after = passing(*GOOD), passing(*GOOD)
    del before[BAD[0]]
    del after[GOOD[0]]
    found = compare_sides(records(before), records(after) | records({"b0.png": "REJECT"}), TRUTH)
    assert (found.before.parts, found.after.parts) == (78, 78)


def test_two_models_that_decided_within_one_side_are_both_named() -> None:
    mixed = records({BAD[0]: "PASS", GOOD[0]: "PASS"}) | records(
        dict.fromkeys([*BAD[1:3], *GOOD[1:3]], "REJECT"), version=2
    )
    both = {BAD[0], *BAD[1:3], GOOD[0], *GOOD[1:3]}
    found = compare_sides(mixed, records(dict.fromkeys(both, "PASS"), version=3), TRUTH)
    assert found.before.models == ("cell v1 INT8", "cell v2 INT8")
