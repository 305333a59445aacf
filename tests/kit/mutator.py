"""Damages JSON and text by chance: the same seed and number give the same damage on every machine."""

import json
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

ODD_VALUES: tuple[Json, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 - 1,
    2**53,
    2**63,
    2**64,
    10**400,
    -0.0,
    1.0,
    0.5,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "1700000000",
    "PASS",
    "\x00",
    "a\x00b",
    "\ud800",
    "😀" * 40,
    "\u202e",
    "../../etc/passwd",
    "x" * 129,
    "x" * 5000,
    "f" * 32,
    "f" * 64,
    "2026-03-01T12:00:00Z",
    "9999-12-31T23:59:60Z",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a\x00": 1},
)
RAW_TEXTS = (
    b"",
    b"null",
    b"0",
    b"{}",
    b"[]",
    b'""',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"NaN",
    b"-Infinity",
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b"1" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"1e999",
)


class Mutator:
    """Input number n of a seed; nothing is remembered between two.

    Args:
        seed: any text or number.
        dump: how a damaged value is written again; canonical JSON passes checks that others stop at.
    """

    def __init__(self, seed: object, dump: Callable[[Json], bytes] | None = None) -> None:
        self._seed = seed
        self._dump = dump or canonical

    def input(self, number: int, samples: Sequence[bytes]) -> bytes:
        """The input of this number, made from one of the samples."""
        dice = random.Random(f"{self._seed}/{number}")
        sample = dice.choice(samples)
        kind = dice.random()
        if kind < 0.03:
            return dice.choice(RAW_TEXTS)
        if kind < 0.25:
            return damaged_bytes(sample, dice)
        try:
            value = json.loads(sample)
        except ValueError:
            return damaged_bytes(sample, dice)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
            value = damaged(value, dice)
        return self._dump(value) if dice.random() < 0.9 else json.dumps(value).encode()


def canonical(value: Json) -> bytes:
    """As our own writer does it, but for what that one refuses."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="surrogatepass")


def damaged(value: Json, dice: random.Random) -> Json:
    """The value with one node of it changed."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        name = dice.choice(list(value))
        return _damaged_member(value, name, dice) if dice.random() < 0.4 else value | {name: damaged(value[name], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        at = dice.randrange(len(value))
        match dice.randrange(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[: at + 1] * dice.choice((2, 50))
            case _:
                return [*value[:at], damaged(value[at], dice), *value[at + 1 :]]
    return _another(value, dice)


def _damaged_member(value: dict[str, Json], name: str, dice: random.Random) -> dict[str, Json]:
    without = {key: item for key, item in value.items() if key != name}
    match dice.randrange(4):
        case 0:
            return without
        case 1:
            return without | {dice.choice((name.upper(), name + "\x00", "", "x" * 200)): value[name]}
        case 2:
            return value | {dice.choice(("later", "schema", "a\x00", "\ud800")): dice.choice(ODD_VALUES)}
        case _:
            return value | {name: value[dice.choice(list(value))]}


def _another(value: Json, dice: random.Random) -> Json:
    if isinstance(value, bool) or dice.random() < 0.6:
        return dice.choice(ODD_VALUES)
    if isinstance(value, int):
        return value + dice.choice((-1, 1, 1000, 2**40))
    if isinstance(value, float):
        return value * dice.choice((-1, 1e10, 1e-10))
    if isinstance(value, str):
        at = dice.randrange(len(value) + 1)
        return value[:at] + dice.choice(("", "\x00", "\n", "/", "a" * 300, "é")) + value[at + dice.randrange(2) :]
    return value


def damaged_bytes(content: bytes, dice: random.Random) -> bytes:
    """One to four cuts, flips, copies or insertions."""
    made = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(made) + 1)
        match dice.randrange(5):
            case 0 if made:
                made[at % len(made)] ^= 1 << dice.randrange(8)
            case 1:
                del made[at : at + dice.randrange(1, 50)]
            case 2:
                made[at:at] = made[: dice.randrange(1, 50)]
            case 3:
                made[at:at] = dice.choice(
                    (b'"', b"}", b"]", b"\xff", b"null", b"1e999", b"\\u0000", b"[" * 3000, b"\n")
                )
            case _:
                made[at : at + 1] = bytes([dice.randrange(256)])
    return bytes(made)


def damaged_lines(content: bytes, dice: random.Random) -> bytes:
    """A file of `key = value` lines with lines gone, doubled, moved, or given a value of another kind."""
    lines = content.split(b"\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        match dice.randrange(6):
            case 0:
                del lines[at]
                lines = lines or [b""]
            case 1:
                lines.insert(dice.randrange(len(lines)), lines[at])
            case 2:
                lines[at] = damaged_bytes(lines[at], dice)
            case _ if b"=" in lines[at]:
                lines[at] = lines[at].split(b"=")[0] + b"= " + dice.choice(_LINE_VALUES)
            case _:
                lines.insert(at, dice.choice(_EXTRA_LINES))
    return b"\n".join(lines)


_LINE_VALUES = (
    *(b"0", b"-1", b"1", b"9" * 30, b"1" * 5000, b"nan", b"inf", b"-inf", b"1e400", b"0.5", b"true", b'""', b"''"),
    *(b'"\\u0000"', b'"a/../../b"', b'"tcp://x:99999999"', b'"' + b"x" * 9000 + b'"', b"[]", b"{}", b"[[]]"),
    *(
        b"1979-05-27T07:32:00Z",
        b"9999-99-99",
        b"[" * 2000,
        b"[" * 300 + b"]" * 300,
        b'"\\ud800"',
        b"0x7fffffffffffffff",
    ),
    *(b"{a.b.c = 1}", b'["a", 1, {}]', b"{" * 500, b'"rtsp://u:p@h/"', b'"http://[::1"', b"1_000", b"-0.0"),
)
_EXTRA_LINES = (b"[line]", b"[[camera]]", b"x = 1", b"[a.b.c]", b"[[product]]", b'"" = 1', b"[[output]]", b"\xff", b"=")
