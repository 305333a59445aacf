"""A unit's confinement made real without systemd: mount namespace, user, no capabilities, its system call filter.

Run as a program it lays the filter on itself, as systemd does, by libseccomp, and becomes the command:

    python confinement.py FILTER.json COMMAND...

Debian's Python runs there, as on an installed station: that of a tester's own folder nobody may even see.
"""

import ctypes
import ctypes.util
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
DEBIAN_PYTHON = "/usr/bin/python3"
# Not the standard library of the Python that runs the tests: Debian's has its own. An editable install is on no path.
_OURS = [str(Path(__file__).parents[2])]
_OURS += [path for path in sys.path if path and not path.startswith(f"{sys.base_prefix}/lib")]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(_OURS), "HOME": "/nonexistent"}
_MAINS = {"edge": "edge.cli", "cloud": "cloud_sync.hub.cli"}
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EQUAL, _MASKED_EQUAL = 4, 7
_WRITE, _EXEC = 2, 4
_READ_ONLY_BUT = """
for place in $(findmnt -rno TARGET | sort -u); do mount -o remount,bind,ro "$place" 2>/dev/null || true; done
mount --bind "$1" "$1" && mount -o remount,bind,rw,noexec "$1"
cd "$1" && shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""


def settings(unit: Path) -> dict[str, list[str]]:
    """A unit's settings in their order, each name with all its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text(encoding="utf-8").splitlines():
        if re.match(r"\w+=", line):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def groups() -> dict[str, list[str]]:
    """systemd's groups of system calls: what each names, other groups among it."""
    words = [shutil.which("systemd-analyze") or "", "syscall-filter", "--no-pager"]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    name = ""
    for line in told.stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = []
        elif (word := line.strip()) and not word.startswith("#"):
            found[name].append(word)
    return found


def allowed_calls(unit: Path) -> set[str]:
    """What a unit's SystemCallFilter= lets through: allowed first, then taken away and given back line by line."""
    known, calls = groups(), set[str]()
    for line in settings(unit)["SystemCallFilter"]:
        named = {call for word in line.removeprefix("~").split() for call in _calls(word, known)}
        calls = calls - named if line.startswith("~") else calls | named
    return calls | set(_calls("@default", known))


def _calls(word: str, known: dict[str, list[str]]) -> Iterator[str]:
    if not word.startswith("@"):
        yield word
        return
    for inner in known[word]:
        yield from _calls(inner, known)


def confined(unit: Path, writable: Path, words: list[str]) -> list[str]:
    """The command line that runs `edge` or `cloud` as the unit would: all read-only but one folder, nobody's rights.

    A call that the filter does not let through kills the process, where systemd would answer EPERM: none goes unseen.
    """
    rules = writable / "filter.json"
    rules.write_text(json.dumps(filter_of(unit)))
    for path in (writable, *writable.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    main = f"import sys; from {_MAINS[words[0]]} import main; sys.argv[0] = {words[0]!r}; main()"
    inside = [DEBIAN_PYTHON, __file__, str(rules), DEBIAN_PYTHON, "-c", main, *words[1:]]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY_BUT, "sh", str(writable), *inside]


def filter_of(unit: Path) -> dict[str, object]:
    """What the filter has to know of a unit."""
    found = settings(unit)
    families = " ".join(found["RestrictAddressFamilies"]).split()
    return {
        "calls": sorted(allowed_calls(unit)),
        "families": [int(getattr(socket, name)) for name in families],
        "no_write_execute": found["MemoryDenyWriteExecute"] == ["yes"],
    }


def missing() -> str:
    """Why nothing can be confined here, or nothing."""
    tools = ("unshare", "setpriv", "findmnt", "systemd-analyze")
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    lacking += [] if ctypes.util.find_library("seccomp") else ["libseccomp"]
    lacking += ["root"] if os.geteuid() else []
    if lacking:
        return f"needs {', '.join(lacking)}"
    words = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        DEBIAN_PYTHON,
        "-c",
        "import numpy, edge",
    ]
    done = subprocess.run(words, env=os.environ | ENVIRONMENT, cwd="/", capture_output=True, check=False)
    able = done.returncode == 0
    return "" if able else f"{DEBIAN_PYTHON}, run by nobody, cannot use these packages"


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@dataclass
class _Filter:
    library: ctypes.CDLL
    context: ctypes.c_void_p

    def allow(self, call: str, *only_if: tuple[int, int, int, int]) -> None:
        """One rule; a call that this machine does not have needs none."""
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return
        compared = (_Comparison * max(1, len(only_if)))(*(_Comparison(*one) for one in only_if))
        failed = self.library.seccomp_rule_add_array(self.context, _ALLOW, number, len(only_if), compared)
        if failed not in {0, -errno.EEXIST}:
            raise OSError(-failed, f"no rule for {call}")


def lay_filter(rules: dict[str, list[str] | list[int] | bool]) -> None:
    """From now on this process, and what it becomes, is killed for any call that is not allowed."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    library.seccomp_init.restype = ctypes.c_void_p
    made = _Filter(library, ctypes.c_void_p(library.seccomp_init(_KILL)))
    special = {"socket"} | ({"mmap", "mprotect"} if rules["no_write_execute"] else set())
    for call in rules["calls"]:  # type: ignore[union-attr]
        if call not in special:
            made.allow(str(call))
    for family in rules["families"]:  # type: ignore[union-attr]
        made.allow("socket", (0, _EQUAL, int(family), 0))
    if rules["no_write_execute"]:
        made.allow("mmap", (2, _MASKED_EQUAL, _WRITE, 0))
        made.allow("mmap", (2, _MASKED_EQUAL, _EXEC, 0))
        made.allow("mprotect", (2, _MASKED_EQUAL, _EXEC, 0))
    if library.seccomp_load(made.context):
        raise OSError("the filter cannot be loaded")


if __name__ == "__main__":
    lay_filter(json.loads(Path(sys.argv[1]).read_text()))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - it becomes the command, as after systemd
