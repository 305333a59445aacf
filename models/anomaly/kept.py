"""A workbench's choice on disk, so that an interrupted calibration need not fit again."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from models.anomaly.bench import AnyGate, Choice, Trial
from models.anomaly.fit import Candidate
from models.anomaly.threshold import ThresholdProof
from models.compile import read_graph, save_graph
from models.gate import GateResult
from models.labelled_gate import LabelledResult
from models.scoring import Scored
from models.spec import Precision

_CHOICE = "choice.json"
_NONE = np.zeros(0, np.float32)
_PROOF = TypeAdapter(ThresholdProof)
_GATES: Mapping[bool, TypeAdapter[AnyGate]] = {False: TypeAdapter(GateResult), True: TypeAdapter(LabelledResult)}


def keep_choice(folder: Path, choice: Choice) -> None:
    """Write it into an empty folder: graphs, scores, proofs and the gate's answer."""
    for precision, trial in choice.trials.items():
        save_graph(trial.candidate.graph, folder / f"{precision}.xml")
        _keep_scores(folder / f"{precision}.npz", trial)
    proofs = {name: _PROOF.dump_python(trial.candidate.proof, mode="json") for name, trial in choice.trials.items()}
    dump_gate = _GATES[choice.labelled].dump_python
    content = {
        "precision": choice.precision,
        "labelled": choice.labelled,
        "gates": {name: dump_gate(gate, mode="json") for name, gate in choice.gates.items()},
        "proofs": proofs,
        "speed_ms": dict(choice.speed_ms),
        "left_out": [str(path) for path in choice.left_out],
        "doubtful": [str(path) for path in choice.doubtful],
    }
    (folder / _CHOICE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_choice(folder: Path) -> Choice:
    """What `keep_choice` wrote.

    Raises:
        ModelError: a graph cannot be read.
        ValueError, KeyError: the rest was written by another version.
    """
    content = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
    gates = {
        Precision(name): _GATES[content["labelled"]].validate_python(gate) for name, gate in content["gates"].items()
    }
    proofs = {Precision(name): _PROOF.validate_python(plain) for name, plain in content["proofs"].items()}
    return Choice(
        precision=Precision(content["precision"]),
        gate=gates[Precision.INT8],
        trials={precision: _trial(folder, precision, proof) for precision, proof in proofs.items()},
        speed_ms={Precision(name): value for name, value in content["speed_ms"].items()},
        left_out=tuple(Path(path) for path in content["left_out"]),
        doubtful=tuple(Path(path) for path in content["doubtful"]),
        gates=gates,
    )


def _keep_scores(path: Path, trial: Trial) -> None:
    labelled = trial.labelled or Scored(_NONE, _NONE)
    np.savez(
        path,
        held_out=trial.candidate.held_out,
        good_scores=trial.good.scores,
        good_maps=trial.good.maps,
        defective_scores=trial.defective.scores,
        defective_maps=trial.defective.maps,
        labelled_scores=labelled.scores,
        labelled_maps=labelled.maps,
    )


def _trial(folder: Path, precision: Precision, proof: ThresholdProof) -> Trial:
    graph = read_graph(folder / f"{precision}.xml")
    with np.load(folder / f"{precision}.npz", allow_pickle=False) as kept:
        candidate = Candidate(precision, graph, proof, kept["held_out"])
        good, defective, labelled = (
            Scored(kept[f"{name}_scores"], kept[f"{name}_maps"]) for name in ("good", "defective", "labelled")
        )
    return Trial(candidate, good, defective, labelled if len(labelled.scores) else None)
