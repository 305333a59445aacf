"""Pulses, and the lines that carry them. No GPIO chip is at hand: the chip is one that writes down what it is told."""

from pathlib import Path

import pytest
from brokers import eventually
from edge_kit import LineClient
from outputs_kit import GPIO, WrittenDown, section, served_output

from edge.config_outputs import GpioSection
from edge.domain.errors import OutputError
from edge.domain.part import Verdict
from edge.line.outputs.gpio import GpioOutput
from edge.line.outputs.gpiochip import GpioChip
from edge.line.outputs.pulses import Lines, Pulses

READY = Lines(ready_on=True)


def pulses() -> Pulses:
    made = Pulses(pulse_s=0.05, gap_s=0.01)
    made.set_ready(True)
    return made


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        pytest.param(Verdict.PASS, Lines(pass_on=True, ready_on=True), id="PASS"),
        pytest.param(Verdict.REJECT, Lines(fail_on=True, ready_on=True), id="REJECT"),
        pytest.param(Verdict.UNDECIDED, Lines(fail_on=True, undecided_on=True, ready_on=True), id="UNDECIDED"),
    ],
)
def test_a_verdict_is_one_pulse(verdict: Verdict, lines: Lines) -> None:
    made = pulses()
    assert made.lines(1.0) == READY
    made.tell(verdict, 1.0)
    assert made.lines(1.0) == made.lines(1.049) == lines
    assert made.wait_s(1.02) == pytest.approx(0.03)
    assert made.lines(1.05) == READY
    assert made.wait_s(1.05) is None


@pytest.mark.parametrize("at_s", [pytest.param(1.02, id="in the pulse"), pytest.param(1.055, id="in the gap")])
def test_a_verdict_before_the_last_pulse_is_over_never_passes(at_s: float) -> None:
    made = pulses()
    made.tell(Verdict.PASS, 1.0)
    made.tell(Verdict.PASS, at_s)
    assert made.lines(at_s) == Lines(fail_on=True, undecided_on=True, ready_on=True)
    assert made.overruns == 1
    made.tell(Verdict.PASS, at_s + 0.061)
    assert made.lines(at_s + 0.062) == Lines(pass_on=True, ready_on=True)


def gpio() -> GpioSection:
    made = section(GPIO)
    assert isinstance(made, GpioSection)
    return made


def test_a_verdict_out_of_turn_never_passes() -> None:
    pulses = Pulses(0.05, 0.01)
    pulses.tell(Verdict.PASS, 1.0, in_turn=False)
    assert pulses.lines(1.01) == Lines(fail_on=True, undecided_on=True)
    assert pulses.overruns == 1


def test_verdicts_of_any_line_are_pulses_and_the_end_is_dark() -> None:
    chip = WrittenDown()
    with served_output(GpioOutput(gpio(), chip)) as served, LineClient(served.where) as line:
        eventually(lambda: chip.on()[-1] == {4})
        for number, verdict in enumerate((Verdict.PASS, Verdict.REJECT, Verdict.UNDECIDED), 1):
            line.trigger(f"p-{number}")
            served.tell(verdict, served.part(number), number)
            eventually(lambda number=number: len(chip.driven) == 2 + 2 * number)
    assert sorted(chip.offsets) == [1, 2, 3, 4]
    assert chip.on() == [set(), {4}, {1, 4}, {4}, {2, 4}, {4}, {2, 3, 4}, {4}, set()]


def test_a_chip_that_goes_is_said_and_taken_again_when_it_is_back() -> None:
    chip = WrittenDown()
    with served_output(GpioOutput(gpio(), chip)) as served:
        served.tells()
        eventually(lambda: chip.on()[-1])
        chip.broken = True
        served.port.set_ready(False, "stop")
        assert "the chip is gone" in served.fails()
        chip.broken = False
        served.tells()


def test_a_chip_that_is_not_there_is_said_clearly(tmp_path: Path) -> None:
    chip = GpioChip(tmp_path / "gpiochip9", active_low=False)
    with pytest.raises(OutputError, match=r"lines 1, 2 of .*gpiochip9 cannot be had: .*check the chip"):
        chip.open((1, 2))
    with pytest.raises(OutputError, match="is not open"):
        chip.drive({1: True})
    chip.close()


def test_a_file_that_is_no_chip_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").write_text("")
    with pytest.raises(OutputError, match="cannot be had"):
        GpioChip(tmp_path / "gpiochip0", active_low=True).open((1,))
