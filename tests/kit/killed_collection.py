"""A live collection to be killed from outside: `killed_collection.py FRAMES FOLDER COUNT`; frames come slowly."""

import sys
from pathlib import Path

from live_kit import section

from edge.calibrate.frames.live import LiveWanted, collect_live
from edge.calibrate.frames.passing_parts import Pace
from edge.capture.open import make_camera
from models.progress import SilentProgress


def main() -> None:
    frames, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    camera = section(frames, fps=50, loop=True)
    wanted = LiveWanted(count, Pace(), limit_s=60)
    collect_live(camera, make_camera(camera), wanted, folder, SilentProgress(), data_dir=folder.parent)


if __name__ == "__main__":
    main()
