"""A stand-in for the advisory service on loopback: answers what OSV would, or refuses."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def weakness(name: str, known: str, fixed: str) -> dict[str, object]:
    """An entry as OSV writes it."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {
        "schema_version": "1.6.0",
        "id": known,
        "aliases": ["CVE-2026-0001"],
        "summary": "x",
        "affected": [affected],
    }


@contextmanager
def advisory_server(known: Mapping[str, dict[str, object]], status: int = 200) -> Iterator[str]:
    """Its address, while it runs."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            entry = known.get(asked["package"]["name"])
            body = json.dumps({"vulns": [entry]} if entry else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
