"""Takes a release into use, or back, again and again, each time killed before a later touch of the disk than before.

`python killed_release.py FOLDER EVERY` kills before every so-manieth, and prints what it found. A process of its own,
which has no threads to lose by a fork.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud_sync.wire.messages import Stage
from edge.config import StationConfig, load_config
from edge.release.around import Shadow
from edge.release.course import Phase, Seen, Step, next_step
from edge.release.doing import Doing
from edge.release.gates import Answer, Beside, Judgement
from edge.release.kept import KeptCourse, course_path
from edge.release.taking import adopt
from edge.release.trial import Limits
from edge.release.wiring import SignedReleases
from models.bundle import Bundle, open_bundle
from models.bundle_store import active_bundle, list_bundles

PASSED = Judgement(Answer.PASSED)
CALLS = (
    "fsync",
    "replace",
    "rename",
    "symlink",
    "unlink",
    "mkdir",
    "rmdir",
    "sendfile",
    "scandir",
    "open",
    "close",
    "readlink",
    "stat",
)


class NoShadow:
    """Implements `Shadow`: nothing stands beside the line here."""

    def begin(self, product_id: str, bundle: Bundle) -> None: ...

    def end(self, product_id: str) -> None: ...

    def figures(self, product_id: str) -> Beside:  # noqa: ARG002 - nothing was counted
        return Beside()

    def trouble(self, product_id: str) -> str:  # noqa: ARG002 - there is none
        return ""


def doing(config: StationConfig, kept: KeptCourse, shadow: Shadow | None = None) -> Doing:
    return Doing(config, kept, SignedReleases(config, lambda _name, _limit: None), shadow or NoShadow(), Limits())


def walk(folder: Path, end: Phase) -> None:
    """As the keeper does: from wherever it stands to where it shall be."""
    config = load_config(folder / "station.toml")
    kept = KeptCourse(course_path(config))
    does, course = doing(config, kept), kept.course
    assert course is not None
    if course.phase is Phase.FETCHED:
        model = adopt(config, "blob", open_bundle(folder / "draft")).model_id
        named = {"bundle": "blob", "version": model.version, "sha256": model.sha256}
        course = does.keep(replace(course, phase=Phase.SHADOW, before=does.active("blob") or 0, **named))  # type: ignore[arg-type]
    asked: Stage = "back" if end is Phase.BACK else "live"
    while course.phase is not end:
        step, why = next_step(course, Seen(asked, does.active("blob"), PASSED))
        match step:
            case Step.ACTIVATE:
                course = does.activate(course)
            case Step.SETTLE:
                course = does.settle(course)
            case Step.GO_BACK:
                course = does.go_back(course, why)
            case Step.END if course.phase is not Phase.SHADOW:
                course = does.over(course, Phase.BACK, why)
            case _:
                raise AssertionError(f"{course.phase} came to {step}: {why}")


def killed(number: int, act: Callable[[], None]) -> bool:
    """Do it in a process that ends before its so-manieth write to disk; whether it came so far."""
    child = os.fork()
    if not child:
        _kill_before(number)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def whole(folder: Path) -> dict[str, object]:
    """Which version is active, and every version that lies there, each of them opened."""
    root = folder / "data" / "bundles"
    return {
        "active": open_bundle(active_bundle(root, "blob")).model_id.version,
        "versions": [open_bundle(one.path).model_id.version for one in list_bundles(root)],
    }


def sweep(made: Path, scratch: Path, start: Phase, every: int) -> list[dict[str, object]]:
    """Kills on the way into use, or back; what was found after each, and once it went on."""
    found, number, end = [], 1 - every, Phase.BACK if start is Phase.LIVE else Phase.LIVE
    while True:
        number += every
        shutil.copytree(made, scratch, symlinks=True)
        was_killed = killed(number, lambda: walk(scratch, end))
        after = whole(scratch)
        assert not killed(1 << 30, lambda: walk(scratch, end))
        found.append({"start": start.value, "number": number, "after": after, "then": whole(scratch)})
        shutil.rmtree(scratch)
        if not was_killed:
            return found[:-1]


def _kill_before(number: int) -> None:
    left = number

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever that call takes
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted

    for name in CALLS:
        setattr(os, name, counting(getattr(os, name)))


def main(folder: Path, every: int) -> None:
    """Both ways: a fetched release into use, one in use back."""
    found = sweep(folder / "made", folder / "scratch", Phase.FETCHED, every)
    walk(folder / "made", Phase.LIVE)
    found += sweep(folder / "made", folder / "scratch", Phase.LIVE, every)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
