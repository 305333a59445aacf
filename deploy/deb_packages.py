"""What each Debian package holds: a table, for build_deb.py."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package: its command and units, what a purge removes, and where files of deploy/ go."""

    name: str
    command: str
    units: tuple[str, ...]
    purged: tuple[str, ...]
    files: tuple[tuple[str, str], ...]

    @property
    def home(self) -> str:
        """Where its code lies once installed, without the leading slash."""
        return f"opt/{self.name}"


STATION = Package(
    "inspectd",
    "edge",
    ("inspectd.service", "inspectd-station-web.service", "inspectd-renew.timer"),
    ("/etc/inspectd", "/var/lib/inspectd/identity", "/var/lib/inspectd/before-restore-*/identity", "/var/log/inspectd"),
    (
        ("systemd/inspectd.service", "lib/systemd/system"),
        ("systemd/inspectd-renew.*", "lib/systemd/system"),
        ("systemd/inspectd-station-web.*", "lib/systemd/system"),
        ("sysusers.d/inspectd.conf", "usr/lib/sysusers.d"),
        ("tmpfiles.d/inspectd.conf", "usr/lib/tmpfiles.d"),
        ("sysctl.d/*.conf", "usr/lib/sysctl.d"),
        ("udev/*.rules", "lib/udev/rules.d"),
        ("journald.conf.d/*.conf", "usr/lib/systemd/journald.conf.d"),
        ("logrotate.d/inspectd", "etc/logrotate.d"),
        ("INSTALL.md", "usr/share/doc/inspectd"),
        ("prometheus", "usr/share/inspectd"),
        ("grafana", "usr/share/inspectd"),
    ),
)
HUB = Package(
    "inspectd-hub",
    "cloud",
    (
        "inspectd-collect.service",
        "inspectd-enrol.service",
        "inspectd-work.service",
        "inspectd-web.service",
        "inspectd-broker.path",
    ),
    ("/etc/inspectd-hub", "/var/log/inspectd-hub"),
    (
        ("systemd/inspectd-broker.*", "lib/systemd/system"),
        ("systemd/inspectd-collect.*", "lib/systemd/system"),
        ("systemd/inspectd-enrol.*", "lib/systemd/system"),
        ("systemd/inspectd-work.*", "lib/systemd/system"),
        ("systemd/inspectd-web.*", "lib/systemd/system"),
        ("sysusers.d/inspectd-hub.conf", "usr/lib/sysusers.d"),
        ("tmpfiles.d/inspectd-hub.conf", "usr/lib/tmpfiles.d"),
        ("logrotate.d/inspectd-hub", "etc/logrotate.d"),
        ("INSTALL.md", "usr/share/doc/inspectd-hub"),
        ("mosquitto", "usr/share/inspectd-hub"),
        ("prometheus", "usr/share/inspectd-hub"),
        ("grafana", "usr/share/inspectd-hub"),
    ),
)
