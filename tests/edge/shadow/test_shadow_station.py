"""A challenger beside a running station: real engines, a real line port, the challenger in its own process."""

from pathlib import Path

from brokers import eventually
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from station_kit import Station, make_bundle, write_frames

from edge.daemon import Daemon
from edge.shadow.desk import ShadowDesk
from models.bundle_store import activate


def station(folder: Path, *, bad_every: int = 4, settings: dict[str, dict[str, object]] | None = None) -> Station:
    made = Station(folder / "station", settings=settings or {})
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 8, bad_every=bad_every)
    return made


def desk(running: Daemon) -> ShadowDesk:
    return running._station.shadow  # noqa: SLF001


def serve(line: LineClient, running: Daemon, parts: int, name: str = "p") -> list[str]:
    """The verdicts of so many parts, each triggered once the challenger had its turn at the last."""
    verdicts = []
    for number in range(parts):
        before = seen(running)
        line.trigger(f"{name}-{number}")
        verdicts.append(line.hear()["verdict"])
        line.ack(f"{name}-{number}")
        if desk(running).figures("blob").state == "looking":
            eventually(lambda before=before: seen(running) > before or broken(running))  # type: ignore[misc]
    return verdicts


def seen(running: Daemon) -> int:
    figures = desk(running).figures("blob")
    return figures.parts + figures.skipped


def broken(running: Daemon) -> bool:
    return desk(running).figures("blob").state == "broken"


def looks(running: Daemon) -> bool:
    return desk(running).figures("blob").state == "looking"


def test_a_challenger_sees_every_part_and_what_it_says_is_counted(tmp_path: Path) -> None:
    made = station(tmp_path)
    blind = make_bundle(made.bundles, version=2, blindness=1e6)
    activate(made.bundles, "blob", 1)
    with daemon(made) as running, line_to(made) as line:
        line.hear_ready(ready=True)
        desk(running).begin("blob", blind)
        eventually(lambda: looks(running))
        verdicts = serve(line, running, 8)
        figures = desk(running).figures("blob")
    assert verdicts.count("REJECT") == 2
    assert (figures.parts, figures.skipped) == (8, 0)
    assert (figures.disagreements, figures.passes_of_rejects, figures.rejects) == (2, 2, 0)
    assert (figures.champion_rejects, figures.undecided, figures.faults) == (2, 0, 0)
