"""`edge camera`: what this station looks with. Heavy imports stand inside the commands, as in `edge.cli`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import EXIT_REFUSED, ConfigError, StorageError
from edge.domain.secrets import redacted
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from edge.calibrate.scale.measuring import Scale
    from edge.config import CameraSection, StationConfig

camera_app = typer.Typer(help="The cameras of this station.", no_args_is_help=True)


@camera_app.command("list")
def camera_list(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    gige: Annotated[
        bool, typer.Option("--gige", help="GigE cameras too: asks on every network of this machine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The video devices of this machine, and the cameras of station.toml with their state.

    Without a station.toml in this folder, the devices alone. Exit 1 when a camera of the running station is lost.
    """
    from edge.capture.devices import video_devices
    from edge.config import load_config

    devices = [{"path": str(device.path), "name": device.name, "trouble": device.trouble} for device in video_devices()]
    checked = load_config(config) if config != DEFAULT_CONFIG or config.exists() else None
    cameras = [] if checked is None else _states(checked)
    lost = [row["id"] for row in cameras if row["state"] == "lost"]
    answered = _gige_cameras() if gige else []
    if as_json:
        print_json({"ok": not lost, "devices": devices, "cameras": cameras} | ({"gige": answered} if gige else {}))
    else:
        print_table("video devices", ("path", "name", "trouble"), [tuple(row.values()) for row in devices])
        if gige:
            shown = ("serial", "name", "address", "hardware")
            print_table("GigE cameras that answer", shown, [tuple(row.values()) for row in answered])
        columns = ("id", "source", "trigger", "state", "why")
        print_table("cameras of station.toml", columns, [tuple(row.values()) for row in cameras])
    if lost:
        raise typer.Exit(EXIT_REFUSED)


def _gige_cameras() -> list[dict[str, str]]:
    from edge.capture.industrial.gige_discovery import cameras_on_network

    return [
        {"serial": found.serial, "name": found.name, "address": found.address, "hardware": found.hardware}
        for found in cameras_on_network()
    ]


def _states(config: "StationConfig") -> list[dict[str, str]]:
    from edge.assembly import camera_fault
    from edge.status import read_status

    try:
        status = read_status(config)
    except StorageError:
        status = {"running": False, "faults": {}}
    faults = status["faults"] if isinstance(status["faults"], dict) else {}
    rows = []
    for camera in config.camera:
        why = str(faults.get(camera_fault(camera.id), "")) if status["running"] else "the station does not run"
        state = ("lost" if why else "ok") if status["running"] else "unknown"
        source = redacted(str(camera.source))
        rows.append({"id": camera.id, "source": source, "trigger": camera.trigger, "state": state, "why": why})
    return rows


@camera_app.command("grab")
def camera_grab(
    camera: Annotated[str, typer.Argument(help="The camera's id; the only one if left out.")] = "",
    out: Annotated[Path | None, typer.Option(help="The image file to write; ID.png if left out.")] = None,
    seconds: Annotated[float, typer.Option(min=0, max=600, help="How long to look, for the rate.")] = 1,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    whole: Annotated[bool, typer.Option("--whole", help="The whole picture, with the camera's roi drawn in.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Open a camera, write its newest image, and say size, format, rate and age.

    The image is what the camera's roi leaves, as everything else sees it. With --whole, exit 1 when the roi reaches
    out of the picture. It opens a connection of its own: a device that a running station holds cannot be grabbed.
    """
    from edge.capture.grab import grab
    from edge.capture.open import make_camera
    from edge.config import load_config

    section = _chosen(load_config(config), camera)
    driver = make_camera(section.model_copy(update={"roi": None}))
    result = grab(section, driver, out or Path(f"{section.id}.png"), seconds, whole=whole)
    rate = "one image, as triggered" if result.rate_fps is None else f"{result.rate_fps:.1f} images a second"
    size = f"{result.width} x {result.height}, {result.format}"
    text = f"{result.camera}: {size}, {rate}, newest {result.age_ms:.0f} ms old\nwrote {result.path}"
    if not result.roi_fits:
        text += f"\nthe camera's roi {list(section.roi or ())} reaches out of its pictures: set camera.roi"
    say(as_json, {"ok": result.roi_fits} | result.as_json(), text)
    if not result.roi_fits:
        raise typer.Exit(EXIT_REFUSED)


def _chosen(config: "StationConfig", camera: str) -> "CameraSection":
    known = {section.id: section for section in config.camera}
    chosen = camera or next(iter(known))
    if chosen not in known or (not camera and len(known) > 1):
        raise ConfigError(f"name a camera: one of {', '.join(sorted(known))}, got {camera!r}")
    return known[chosen]


@camera_app.command("collect")
def camera_collect(  # noqa: PLR0913, PLR0917 - each is an option of the command
    out: Annotated[Path, typer.Argument(help="The folder for the images.")],
    parts: Annotated[int, typer.Option(min=1, help="How many parts.")] = 300,
    repeats: Annotated[int, typer.Option(min=1, help="How often each of them, one look after the other.")] = 1,
    camera: Annotated[str, typer.Option(help="The camera's id; the only one if left out.")] = "",
    interval_ms: Annotated[float, typer.Option(min=0, help="At least so long between two images.")] = 0,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="The part is changed by hand.")] = False,  # noqa: FBT002
    every_frame: Annotated[bool, typer.Option("--every-frame", help="Each frame is another part.")] = False,  # noqa: FBT002
    limit_s: Annotated[float, typer.Option(min=1, help="Give up after so long; what came is kept.")] = 600,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the images that are there.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Take a picture of each part that comes, for `edge calibrate --from`, or repeats of each for --repeats.

    A standing belt gives one picture, not many: the part must have changed. Exit 3 when too few came in time.
    """
    from edge.calibrate.frames.live import LiveWanted, collect_live
    from edge.calibrate.frames.passing_parts import Pace
    from edge.capture.open import make_camera
    from edge.config import load_config
    from models.progress import RichProgress

    checked = load_config(config)
    section = _chosen(checked, camera)
    pace = Pace(interval_ms / 1000, every_frame=every_frame, by_hand=by_hand, repeats=repeats)
    wanted = LiveWanted(parts, pace, limit_s, resume=resume)
    with RichProgress() as progress:
        taken = collect_live(section, make_camera(section), wanted, out, progress, data_dir=checked.station.data_dir)
    say(as_json, {"ok": True} | taken.as_json(), f"{taken.frames} images in {taken.folder}")


@camera_app.command("scale")
def camera_scale(  # noqa: PLR0913, PLR0917 - each is an option of the command
    camera: Annotated[str, typer.Option(help="The camera's id; the only one if left out.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture of this camera; without one it is looked at.")] = None,
    checkerboard: Annotated[str, typer.Option(help="Inner corners of a printed board, as 9x6.")] = "",
    square_mm: Annotated[float, typer.Option(help="Side of the board's squares.")] = 0,
    qr_mm: Annotated[float, typer.Option(help="Side of a printed QR code, without its white border.")] = 0,
    points: Annotated[str, typer.Option(help="Two points of the picture, as x1,y1,x2,y2.")] = "",
    mm: Annotated[float, typer.Option(help="How far the two points lie apart.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Keep it: the station judges areas by it.")] = False,  # noqa: FBT002
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure how many millimetres a pixel is, by a checkerboard, a QR code of known size, or two points.

    The target lies where the parts lie, straight below the camera. It says how sure the scale is, and how oblique the
    target is seen; exit 2 where the picture does not show it. A running station takes a kept scale at its next start.
    """
    from edge.calibrate.scale.command import ScaleRequest, measure_scale, take_picture
    from edge.config import load_config

    asked = ScaleRequest(checkerboard, square_mm, qr_mm, points, mm)
    asked.check()
    checked = load_config(config) if image is None or save or config.exists() else None
    section = None if checked is None else _chosen(checked, camera)
    scale = measure_scale(asked, take_picture(section, image))
    kept = None if not save or checked is None or section is None else _keep(checked, section, scale)
    text = [str(scale), *(f"look at this: {warning}" for warning in scale.warnings)]
    text.append("not kept: give --save" if kept is None else f"kept: {kept}")
    named = None if section is None else section.id
    say(as_json, {"ok": True, "camera": named, **scale.as_json(), "kept": kept and str(kept)}, "\n".join(text))


def _keep(config: "StationConfig", section: "CameraSection", scale: "Scale") -> Path:
    from datetime import UTC, datetime

    from edge.calibrate.scale.command import kept_scale
    from edge.capture.scales import save_scale

    return save_scale(config.station.data_dir, kept_scale(section.id, scale, datetime.now(UTC)))
