"""Several cameras look at one part; all of them, or the part is UNDECIDED."""

from pathlib import Path

from line_kit import make_line


def test_three_cameras_look_at_every_part_and_one_bad_view_rejects_it(tmp_path: Path) -> None:
    line = make_line(tmp_path, frames=40, bad_every=5)
    text = line.station.config.read_text()
    for camera in ("left", "right"):
        text += f"[[camera]]\nid = '{camera}'\nsource = 'frames'\ntrigger = 'software'\nloop = true\n"
    line.station.config.write_text(text)
    with line.daemon():
        summary = line.run_parts(40)
    assert summary["verdicts"] == {"PASS": 32, "REJECT": 8}
    assert {len(record["views"]) for record in line.records().values()} == {3}  # type: ignore[arg-type]
