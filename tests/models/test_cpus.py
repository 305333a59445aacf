"""What CPUs are granted: recorded trees of the ways in which Linux says it, and one real control group."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from quota_kit import inside, quota_group

from models.cgroups import cpu_list
from models.cpus import CpuGrant, cpu_grant, cpu_model, granted_cpus

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_SET = "34 30 0:31 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset"
POD = "/kubepods.slice/kubepods-burstable.slice/pod1a/cri-77"


def tree(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A recorded machine: /proc/self/cgroup, /proc/self/mountinfo and files below /sys."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text(f"22 1 8:1 / / rw - ext4 /dev/vda rw\n{mounts}\n")
    for name, content in files.items():
        (root / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "sys" / name).write_text(content)
    return root


def v1_quota(group: str, quota_us: int, at: str = "cpu,cpuacct") -> dict[str, str]:
    folder = f"fs/cgroup/{at}{group}"
    return {f"{folder}/cpu.cfs_quota_us": f"{quota_us}\n", f"{folder}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "amount", "at"),
    [
        pytest.param("0::/\n", V2, {}, 8, "", id="v2, root, no quota"),
        pytest.param(
            "0::/system.slice/inspectd.service\n",
            V2,
            {
                "fs/cgroup/system.slice/cpu.max": "max 100000\n",
                "fs/cgroup/system.slice/inspectd.service/cpu.max": "150000 100000\n",
            },
            1.5,
            "/sys/fs/cgroup/system.slice/inspectd.service",
            id="v2, systemd, CPUQuota=150%",
        ),
        pytest.param(
            "0::/a.slice/b.slice/c.scope\n",
            V2,
            {
                "fs/cgroup/a.slice/cpu.max": "200000 100000",
                "fs/cgroup/a.slice/b.slice/c.scope/cpu.max": "400000 100000",
            },
            2,
            "/sys/fs/cgroup/a.slice",
            id="v2, nested, an ancestor is tighter",
        ),
        pytest.param(
            f"0::{POD}\n",
            V2,
            {f"fs/cgroup{POD}/cpu.max": "max 100000", f"fs/cgroup{POD.rpartition('/')[0]}/cpu.max": "50000 100000"},
            0.5,
            f"/sys/fs/cgroup{POD.rpartition('/')[0]}",
            id="v2, k8s, the pod's limit",
        ),
        pytest.param(
            "0::/\n", V2, {"fs/cgroup/cpu.max": "300000 100000"}, 3, "/sys/fs/cgroup", id="v2, own cgroup namespace"
        ),
        pytest.param(
            "0::/docker/f00\n",
            V2.replace(" / /sys", " /docker/f00 /sys"),
            {"fs/cgroup/cpu.max": "250000 100000"},
            2.5,
            "/sys/fs/cgroup",
            id="v2, docker without cgroup namespace",
        ),
        pytest.param(
            "0::/../../other\n",
            V2,
            {"fs/cgroup/cpu.max": "100000 100000"},
            1,
            "/sys/fs/cgroup",
            id="outside what is seen",
        ),
        pytest.param("4:cpu,cpuacct:/\n0::/\n", V1_CPU, v1_quota("", -1), 8, "", id="v1, root, no quota"),
        pytest.param(
            "4:cpu,cpuacct:/system.slice/inspectd.service\n",
            V1_CPU,
            v1_quota("", -1) | v1_quota("/system.slice", 700000) | v1_quota("/system.slice/inspectd.service", 120000),
            1.2,
            "/sys/fs/cgroup/cpu,cpuacct/system.slice/inspectd.service",
            id="v1, systemd",
        ),
        pytest.param(
            f"4:cpuacct,cpu:{POD}\n",
            V1_CPU,
            v1_quota(POD, 400000) | v1_quota(POD.rpartition("/")[0], 100000),
            1,
            f"/sys/fs/cgroup/cpu,cpuacct{POD.rpartition('/')[0]}",
            id="v1, k8s, the pod is tighter",
        ),
        pytest.param(
            "4:cpu,cpuacct:/docker/f00\n",
            V1_CPU.replace(" / /sys", " /docker/f00 /sys"),
            v1_quota("", 200000),
            2,
            "/sys/fs/cgroup/cpu,cpuacct",
            id="v1, docker without cgroup namespace",
        ),
        pytest.param(
            "4:cpu,cpuacct:/job\n1:name=systemd:/user.slice\n0::/user.slice\n",
            f"{V1_CPU}\n31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            v1_quota("/job", 300000) | {"fs/cgroup/unified/user.slice/cgroup.procs": ""},
            3,
            "/sys/fs/cgroup/cpu,cpuacct/job",
            id="hybrid: version 1 holds the CPUs",
        ),
        pytest.param("0::/x\n", V2, {"fs/cgroup/x/cpu.max": "banana\n"}, 8, "", id="a file that makes no sense"),
        pytest.param("nonsense\n", "nonsense - cgroup2", {}, 8, "", id="nothing that can be read"),
    ],
)
def test_the_tightest_quota_above_the_process_counts(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], amount: float, at: str
) -> None:
    grant = cpu_grant(tree(tmp_path, groups, mounts, files), range(8))
    assert grant.amount == pytest.approx(amount)
    assert (grant.quota.at if grant.quota else "") == at


@pytest.mark.parametrize(
    ("amount_us", "threads"),
    [
        pytest.param(50_000, 1, id="half a CPU"),
        pytest.param(100_000, 1, id="one"),
        pytest.param(150_000, 2, id="one and a half"),
        pytest.param(900_000, 8, id="more than there are"),
    ],
)
def test_a_fraction_of_a_cpu_is_rounded_up_for_threads(tmp_path: Path, amount_us: int, threads: int) -> None:
    root = tree(tmp_path, "0::/s\n", V2, {"fs/cgroup/s/cpu.max": f"{amount_us} 100000"})
    assert cpu_grant(root, range(8)).threads == threads


@pytest.mark.parametrize(
    ("groups", "mounts", "files"),
    [
        pytest.param("0::/s\n", V2, {"fs/cgroup/s/cpuset.cpus.effective": "2-3,6\n"}, id="v2"),
        pytest.param("5:cpuset:/s\n", V1_SET, {"fs/cgroup/cpuset/s/cpuset.effective_cpus": "2-3,6\n"}, id="v1"),
    ],
)
def test_a_cpuset_leaves_its_cpus_alone(tmp_path: Path, groups: str, mounts: str, files: dict[str, str]) -> None:
    assert cpu_grant(tree(tmp_path, groups, mounts, files), range(8)).cpus == (2, 3, 6)


def test_a_mount_whose_name_is_no_utf8_hides_no_quota(tmp_path: Path) -> None:
    """A stick with an old label in the machine ended the daemon at its start."""
    root = tree(tmp_path, "0::/s\n", "", {"fs/cgroup/s/cpu.max": "150000 100000"})
    stick = b"40 22 8:2 / /media/caf\xe9\x85 rw - ext4 /dev/sdb rw\n"
    (root / "proc/self/mountinfo").write_bytes(stick + V2.encode() + b"\n")
    assert cpu_grant(root, range(8)).amount == pytest.approx(1.5)


def test_two_hardware_threads_are_one_core_and_nodes_are_counted(tmp_path: Path) -> None:
    files = {"devices/system/cpu/online": "0-7", "devices/system/node/node0/cpulist": "0-3"}
    files |= {
        f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)
    }
    files["devices/system/node/node1/cpulist"] = "4-7"
    root = tree(tmp_path, "0::/\n", V2, files)
    whole, part = cpu_grant(root, range(8)), cpu_grant(root, (0, 1, 2))
    assert (whole.cores, whole.nodes, whole.seen, whole.is_cut) == (4, 2, 8, False)
    assert (part.cores, part.nodes, part.threads, part.is_cut) == (3, 1, 3, True)
    assert "4 cores, 8 hardware threads" in str(whole)


def test_it_says_where_the_quota_stands(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/s\n", V2, {"fs/cgroup/s/cpu.max": "150000 100000", "devices/system/cpu/online": "0-7"})
    assert str(cpu_grant(root, range(8))) == "1.5 granted of 8 seen, by the quota of /sys/fs/cgroup/s"


@pytest.mark.parametrize("text", [pytest.param("a", id="a word"), pytest.param("-3", id="a span without a start")])
def test_a_list_that_is_none_is_no_cpus_by_chance(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        cpu_list(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("processor : 0\nmodel name\t: Xeon 8488C\nflags : fpu\n", "Xeon 8488C", id="x86"),
        pytest.param("CPU implementer : 0x41\nCPU part : 0xd40\n", "0x41 0xd40", id="arm"),
    ],
)
def test_the_processor_has_a_name(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_model(tmp_path / "cpuinfo") == name


@pytest.mark.parametrize("nested", [pytest.param(False, id="its own"), pytest.param(True, id="its parent's")])
def test_a_process_sees_the_quota_of_its_real_group(*, nested: bool) -> None:
    text = "import json; from models.cpus import cpu_grant, granted_cpus as n; "
    text += "print(json.dumps([cpu_grant().amount, n()]))"
    with quota_group(0.7, nested=nested) as group:
        said = subprocess.run(
            inside(group, [sys.executable, "-c", text]), capture_output=True, text=True, check=True, timeout=60
        )
    assert json.loads(said.stdout) == [pytest.approx(0.7), 1]


def test_this_machine_grants_something() -> None:
    assert granted_cpus() >= 1
    assert isinstance(cpu_grant(), CpuGrant)
