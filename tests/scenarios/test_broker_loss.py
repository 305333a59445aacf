"""The line runs on whatever the broker does, and the cloud gets everything once the broker is back."""

from pathlib import Path

from brokers import eventually
from line_kit import make_line

from cloud_sync.wire.broker import LocalBroker


def test_a_broker_that_comes_after_the_station_gets_everything(broker: LocalBroker, tmp_path: Path) -> None:
    line = make_line(tmp_path, broker)
    with line.daemon():
        summary = line.run_parts(100, "--in-flight", "2")
        assert summary["untold"] == 0
        assert line.outbox_depth() > 0
        with broker, line.collector():
            line.await_acknowledged()
    report = line.check()
    assert report.clean, report


def test_a_broker_killed_in_mid_run_and_restarted_loses_and_doubles_nothing(
    broker: LocalBroker, tmp_path: Path
) -> None:
    line = make_line(tmp_path, broker)
    with broker, line.collector(), line.daemon(), line.simulator(600, "--rate", "120", "--in-flight", "8") as simulator:
        for told in (100, 250, 400):
            eventually(lambda told=told: line.told() >= told, 30)
            broker.kill()
            eventually(lambda told=told: line.told() >= told + 60, 30)
            broker.start()
        simulator.communicate(timeout=60)
        line.await_acknowledged()
    report = line.check()
    assert report.clean, report
    assert line.told() == 600
    assert not line.events("untold")
