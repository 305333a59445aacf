"""Somebody who looks at the live page without a browser, in a process of their own: events, and each new picture.

Called with the site's address, a name and a password; ends by SIGTERM. Prints a line for each picture.
"""

import http.client
import json
import sys
from urllib.parse import urlencode, urlsplit


def log_in(host: str, name: str, password: str) -> str:
    """The session's cookie."""
    asking = http.client.HTTPConnection(host, timeout=120)
    form = urlencode({"name": name, "password": password})
    asking.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = asking.getresponse()
    cookie = answer.headers["set-cookie"].split(";")[0]
    asking.close()
    return cookie


def look(host: str, cookie: str) -> None:
    events, pictures = (http.client.HTTPConnection(host, timeout=120) for _ in range(2))
    events.request("GET", "/live/events", headers={"Cookie": cookie, "Accept": "text/event-stream"})
    stream, shown = events.getresponse(), ""
    while line := stream.readline():
        if not line.startswith(b"data: "):
            continue
        parts = json.loads(line[6:])["parts"]
        picture = next((look["picture"] for look in parts["looks"] if look["picture"]), "") if parts else ""
        if picture in {"", shown}:
            continue
        shown = picture
        pictures.request("GET", f"/live/picture/{picture}?width=480", headers={"Cookie": cookie})
        sys.stdout.write(f"{len(pictures.getresponse().read())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    where = urlsplit(sys.argv[1]).netloc
    look(where, log_in(where, sys.argv[2], sys.argv[3]))
