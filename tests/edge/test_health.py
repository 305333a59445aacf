import threading

from edge.health import Health


def test_the_listener_hears_the_state_and_each_change_once() -> None:
    health, heard = Health(), []
    health.raise_fault("disk", "full")
    health.on_change(lambda ready, why: heard.append((ready, why)))
    health.raise_fault("disk", "another reason")
    health.raise_fault("camera", "gone")
    health.clear("disk")
    health.clear("disk")
    health.set_fault("camera", "")
    assert heard == [(False, "full"), (False, "full; gone"), (False, "gone"), (True, "")]
    assert health.faults() == {}


def test_of_two_changes_at_once_the_newest_state_is_heard_last() -> None:
    """`ready` stayed true over an open fault when a slow report of the earlier state came after the newer one."""
    health, heard = Health(), []
    entered, release = threading.Event(), threading.Event()

    def listen(ready: bool, why: str) -> None:  # noqa: FBT001 - the listener's signature
        if why == "disk" and not entered.is_set():
            entered.set()
            assert release.wait(10)
        heard.append((ready, why))

    health.on_change(listen)
    slow = threading.Thread(target=health.raise_fault, args=("disk", "disk"))
    slow.start()
    assert entered.wait(10)
    fast = threading.Thread(target=health.clear, args=("disk",))
    fast.start()
    fast.join(0.2)
    release.set()
    for thread in (slow, fast):
        thread.join(10)
    assert heard[-1] == health.state() == (True, "")


def test_a_fault_that_stays_open_tells_its_newest_reason() -> None:
    """A camera that gave no image yet stayed so for ever, and nobody read that its password was wrong."""
    health, heard = Health(), []
    health.on_change(lambda _ready, why: heard.append(why))
    health.raise_fault("camera:top", "gave no image yet")
    health.restate_fault("camera:top", "401 Unauthorized")
    health.restate_fault("camera:top", "401 Unauthorized")
    assert health.state() == (False, "401 Unauthorized")
    health.restate_fault("camera:top", "")
    assert heard == ["", "gave no image yet", "401 Unauthorized", ""]


def test_an_alarm_is_seen_with_its_newest_reason_and_the_station_goes_on() -> None:
    health, heard = Health(), []
    health.on_change(lambda ready, _why: heard.append(ready))
    for why in ("12 are lost", "13 are lost", "13 are lost"):
        health.set_alarm("verdicts_lost", why)
    assert health.alarms() == {"verdicts_lost": "13 are lost"}
    assert health.state() == (True, "")
    for _ in range(2):
        health.set_alarm("verdicts_lost", "")
    assert health.alarms() == {}
    assert heard == [True]
