"""People before the cloud's pages, as a program: half watch the fleet, half review; until its input ends.

`python viewers.py ADDRESS COUNT PACE`: at PACE 1 the fleet's page asks itself anew every 10 s and a reviewer takes
3.6 s for a sample; at 0 everybody asks as fast as answers come. Says `here` once everybody is in, and at the end how
it was as one line of JSON.
"""

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator

import requests
from large_kit import PRODUCT
from web_process import Person, logged_in

FLEET_S, SAMPLE_S = 10.0, 3.6
PAGES = ("/", "/?show=attention", "/stations/press-001")


def watching(who: Person) -> Iterator[requests.Response]:
    while True:
        for path in PAGES:
            yield who.get(path)


def reviewing(who: Person, number: int) -> Iterator[requests.Response]:
    page = {"page": f"0123456789abcdef-{number}"}
    while True:
        claimed = who.say("/review/claim", {**page, "product": PRODUCT})
        yield claimed
        for one in claimed.json()["samples"]:
            yield who.say("/review/say", {**page, "sample": one["id"], "says": "good", "seen": one["seen"]})


def view(who: Person, number: int, pace: float, stop: threading.Event, took_ms: list[float]) -> None:
    doing, every_s = (watching(who), FLEET_S) if number % 2 else (reviewing(who, number), SAMPLE_S)
    while True:
        began_s = time.monotonic()
        answer = next(doing)
        assert answer.status_code == 200, answer.text
        took_ms.append((time.monotonic() - began_s) * 1000)
        if stop.wait(max(0.0, every_s * pace - (time.monotonic() - began_s))):
            return


def main(address: str, count: int, pace: float) -> None:
    stop, took_ms = threading.Event(), list[float]()
    here = [logged_in(address, "operator") for _ in range(count)]
    people = [
        threading.Thread(target=view, args=(who, each, pace, stop, took_ms), daemon=True)
        for each, who in enumerate(here)
    ]
    for person in people:
        person.start()
    sys.stdout.write("here\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    for person in people:
        person.join(60)
    cuts = statistics.quantiles(took_ms, n=100)
    sys.stdout.write(json.dumps({"asked": len(took_ms), "p50_ms": cuts[49], "p99_ms": cuts[98]}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
