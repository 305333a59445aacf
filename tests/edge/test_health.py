import random
import threading

import pytest

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


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed {seed}") for seed in range(5)])
def test_whatever_changes_at_once_the_last_that_is_heard_is_the_truth(seed: int) -> None:
    """Two faults that changed at the same moment left `ready` true over an open fault."""
    health, heard = Health(), []
    rng = random.Random(seed)
    pauses = [rng.random() * 2e-4 for _ in range(64)]
    pause = threading.Event()

    def listen(ready: bool, why: str) -> None:  # noqa: FBT001 - the listener's signature
        pause.wait(pauses[len(heard) % 64])
        heard.append((ready, why))

    def toggle(name: str) -> None:
        for _ in range(60):
            health.raise_fault(name, name)
            health.clear(name)
        if name == "1":
            health.raise_fault(name, name)

    health.on_change(listen)
    threads = [threading.Thread(target=toggle, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert heard[-1] == health.state() == (False, "1")
