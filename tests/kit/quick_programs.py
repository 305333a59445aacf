"""In place of `cloud train` and of the proof: seconds instead of minutes, and every start is written down.

`python quick_programs.py train ...` takes the words of `cloud train`; `... prove JSON` those of the proof.
"""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from cloud_sync.hub.retraining.production import Programs

TRAINED = "trained.log"
_TAKES_S = float(os.environ.get("QUICK_TAKES_S", "0.7"))


def programs() -> Programs:
    words = (sys.executable, __file__)
    return Programs((*words, "train"), (*words, "prove"))


def _train(words: list[str]) -> None:
    out = Path(words[words.index("--out") + 1])
    work = out.parents[2]
    with (work / TRAINED).open("a") as log:
        log.write(f"{os.getpid()} {_alone(work)}\n")
    threading.Event().wait(_TAKES_S)
    _write_bundle(out)


def _alone(work: Path) -> str:
    """Whether no other training of this run lives; written over by the next."""
    file = work / "trains"
    other = int(file.read_text()) if file.exists() else 0
    file.write_text(str(os.getpid()))
    return "TOGETHER" if other and Path(f"/proc/{other}").exists() else "alone"


def _write_bundle(out: Path) -> None:
    from classifier_kit import make_classifier

    with tempfile.TemporaryDirectory(dir=out.parents[2]) as scratch:
        made = make_classifier(Path(scratch) / "bundles").path
        manifest = json.loads((made / "bundle.json").read_text())
        manifest |= {"id": out.parent.name, "version": int(out.name.removeprefix("v"))}
        (made / "bundle.json").write_text(json.dumps(manifest))
        out.parent.mkdir(parents=True, exist_ok=True)
        made.rename(out)


def _prove(words: list[str]) -> None:
    question = json.loads(words[0])
    Path(question["report"]).write_text("<p>proven</p>")
    why_not = os.environ.get("QUICK_WHY_NOT", "")
    proof = {"passed": not why_not, "why_not": why_not, "reasons": [], "figures": {}}
    Path(question["answer"]).write_text(json.dumps(proof))


if __name__ == "__main__":
    {"train": _train, "prove": _prove}[sys.argv[1]](sys.argv[2:])
