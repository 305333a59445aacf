"""A bare Debian 12 for a test: its own init, processes, files and network, joined to another one by a cable."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from brokers import eventually

PACKAGES = "ca-certificates,systemd-sysv,dbus"  # what the smallest server has: an init to start units with
TIMEOUT_S = 240.0

_SHELL = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}

# Becomes PID 1 of the new namespaces: lays an overlay over the bare root, mounts what a kernel gives, starts systemd.
_BOOT = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$BARE,upperdir=$OWN/upper,workdir=$OWN/work" "$OWN/root"
cd "$OWN/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm dev/old
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
pivot_root . dev/old
umount -l /dev/old
rmdir /dev/old
exec env -i container=test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system --show-status=no
"""


@functools.cache
def missing() -> str:
    """What these tests need and this machine lacks; empty where all is there."""
    if os.geteuid() != 0:
        return "a Debian of its own needs root"
    for tool, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("ip", "iproute2")):
        if not shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            return f"Debian's {package} is not installed"
    if _cgroups() is None:
        return "the kernel shows no cgroup2, which systemd needs"
    return ""


def bare_debian(folder: Path) -> str:
    """Fill a folder with the smallest Debian 12 that boots; empty, or why there is none."""
    words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        return f"debootstrap made no Debian here: {(done.stdout + done.stderr)[-300:]}"
    shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
    (folder / "etc" / "dpkg" / "dpkg.cfg.d" / "quick").write_text("force-unsafe-io\n")  # nobody cuts its power
    (folder / "etc" / "machine-id").write_text("")  # each machine makes its own
    return ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A running Debian."""

    name: str
    init_pid: int
    folder: Path

    def run(self, script: str, *, online: bool = False, check: bool = True) -> str:
        """What a shell of root's says there, stopped at the first failing line. Online: on the test's own network.

        Raises AssertionError with all that was said when it fails.
        """
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", *([] if online else ["--net"])]
        words = ["nsenter", "--target", str(self.init_pid), *spaces, "--root", "--wd", "/bin/sh", "-euc", script]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, env=_SHELL)
        said = f"{self.name}: {script}\n{done.stdout}\n{done.stderr}\n{self._journal() if done.returncode else ''}"
        assert not check or done.returncode == 0, f"exit {done.returncode}\n{said}"
        return done.stdout

    def says(self, script: str) -> bool:
        """Whether a command ends well there."""
        return self.run(f"if {script} >/dev/null 2>&1; then echo yes; fi").strip() == "yes"

    def bring(self, source: Path, place: str) -> None:
        """Copy a file or folder to a place of that machine, as a stick or `scp` would."""
        words = ["nsenter", "--target", str(self.init_pid), "--mount", "--root", "tar", "-C", place, "-xf", "-"]
        packed = ["tar", "-C", str(source.parent), "-cf", "-", source.name]
        with subprocess.Popen(packed, stdout=subprocess.PIPE) as sent:
            subprocess.run(words, stdin=sent.stdout, check=True, timeout=TIMEOUT_S)

    def _journal(self) -> str:
        with suppress(AssertionError):
            return self.run("journalctl --no-pager --lines 60", check=False)
        return ""


@contextmanager
def machine(name: str, bare: Path, folder: Path) -> Iterator[Machine]:
    """A Debian that was just started, without a network; its end is the end of all its processes and files."""
    own, group = folder / name, (_cgroups() or Path()) / f"inspectd-test-{os.getpid()}-{name}"
    for part in ("upper", "work", "root"):
        (own / part).mkdir(parents=True)
    group.mkdir()
    log = (own / "boot.log").open("wb")
    spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
    words = ["sh", "-c", 'echo $$ > "$GROUP/cgroup.procs"; exec unshare "$@"', "sh", *spaces, "--fork", "--kill-child"]
    env = {**os.environ, "BARE": str(bare), "OWN": str(own), "GROUP": str(group)}
    process = subprocess.Popen([*words, "sh", "-c", _BOOT], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        made = Machine(name, _init_of(process, own / "boot.log"), own)
        eventually(lambda: made.says("systemctl is-system-running | grep -E 'running|degraded'"), 60)
        made.run(f"hostname {name}; echo {name} > /etc/hostname")
        yield made
    finally:
        process.kill()
        process.wait(30)
        log.close()
        _forget(group)
        shutil.rmtree(own)


@contextmanager
def cable(one: Machine, one_address: str, other: Machine, other_address: str) -> Iterator[None]:
    """Join two machines by a network of their own."""
    with ExitStack() as stack:
        ends = (f"a{one.init_pid}", f"b{one.init_pid}")
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        stack.callback(subprocess.run, ["ip", "link", "del", ends[0]], check=False, stderr=subprocess.DEVNULL)
        for end, at, address in zip(ends, (one, other), (one_address, other_address), strict=True):
            _ip("link", "set", end, "netns", str(at.init_pid))
            for words in (("link", "set", end, "name", "lan0"), ("addr", "add", address, "dev", "lan0")):
                _ip(*words, at=at)
            for device in ("lo", "lan0"):
                _ip("link", "set", device, "up", at=at)
        yield


def _ip(*words: str, at: Machine | None = None) -> None:
    inside = ["nsenter", "--target", str(at.init_pid), "--net"] if at else []
    subprocess.run([*inside, "ip", *words], check=True, timeout=10)


def _init_of(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The process that is PID 1 in there, by its number out here."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def booted() -> list[str]:
        assert process.poll() is None, f"the machine did not start: {log.read_text()}"
        return [pid for pid in children.read_text().split() if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"]

    eventually(booted)
    return int(booted()[0])


def _cgroups() -> Path | None:
    """Where the kernel shows its cgroup2."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def _forget(group: Path) -> None:
    """Remove the cgroups of a machine that has ended, the innermost first."""
    for folder, _, _ in os.walk(group, topdown=False):
        eventually(lambda empty=folder: _removed(Path(empty)))


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
