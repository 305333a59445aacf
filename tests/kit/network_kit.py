"""A bad network for a test: packets that get lost, a line that is slow, in a network that has a loopback alone."""

import functools
import os
import re
import shutil
import subprocess

from gige_kit import own_network


@functools.cache
def missing() -> str:
    """What these tests need and this machine lacks; empty where all is there."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    for tool, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")):
        if not _tool(tool):
            return f"Debian's {package} is not installed"
    try:
        with own_network():
            drop(1, 0)
            limit_rate("1mbit")
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network of its own here: {error}"


def drop(port: int, per_thousand: int) -> None:
    """From now on so many of the packets to and from a TCP port get lost; 0 per thousand: none."""
    rules = "flush ruleset\n"
    if per_thousand:
        lost = f"numgen random mod 1000 <= {per_thousand - 1} counter drop"
        chain = f"type filter hook input priority 0;\ntcp dport {port} {lost}\ntcp sport {port} {lost}\n"
        rules += f"table ip loss {{\nchain in {{\n{chain}}}\n}}\n"
    subprocess.run([_tool("nft"), "-f", "-"], input=rules, text=True, check=True, timeout=10)


def lost() -> int:
    """How many packets got lost by the rules that stand now."""
    rules = subprocess.run([_tool("nft"), "list", "ruleset"], capture_output=True, text=True, check=True, timeout=10)
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", rules.stdout))


def held_up() -> int:
    """How often the loopback had more to carry than it may."""
    words = [_tool("tc"), "-s", "qdisc", "show", "dev", "lo"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10)
    return sum(int(count) for count in re.findall(r"overlimits (\d+)", said.stdout))


def limit_rate(rate: str) -> None:
    """From now on the loopback carries no more than this, as `tc` writes it: `1mbit`."""
    words = ["qdisc", "replace", "dev", "lo", "root", "tbf", "rate", rate, "burst", "64kb", "latency", "2s"]
    for tool, rest in (
        ("ip", ["link", "set", "lo", "mtu", "1500"]),
        ("tc", words),
    ):  # its own packets outgrow the bucket
        subprocess.run([_tool(tool), *rest], check=True, timeout=10)


def _tool(name: str) -> str:
    """Where Debian puts it, also for a user whose PATH lacks it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
