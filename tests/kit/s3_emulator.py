"""An emulator of S3 over HTTP: our own, small, for tests; it checks no signature.

It knows what obstore sends: put, get with a range, head, delete, list, uploads in parts. Objects lie in a folder, so
that they outlive a kill of its process. As a program: `python s3_emulator.py FOLDER PORT`; `BROKEN` in the folder makes
every request fail with 503.
"""

import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_FROM = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Handler(BaseHTTPRequestHandler):
    """One request; `root` is set by whoever makes the server."""

    root: Path
    protocol_version = "HTTP/1.1"
    requests = 0

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self._broken():
            return
        query = self._query()
        path = self._part(query["uploadId"], query["partNumber"]) if "uploadId" in query else self._object()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{threading.get_ident()}.tmp")
        temporary.write_bytes(body)
        temporary.replace(path)
        self._answer(200, headers={"ETag": '"e"'})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self._broken():
            return
        query = self._query()
        if "uploads" in query:
            self._begin_parts()
            return
        parts = sorted(self._part(query["uploadId"], "1").parent.glob("*"), key=lambda path: int(path.name))
        self._object().parent.mkdir(parents=True, exist_ok=True)
        self._object().write_bytes(b"".join(part.read_bytes() for part in parts))
        self._xml(f'<CompleteMultipartUploadResult {_FROM}><ETag>"e"</ETag></CompleteMultipartUploadResult>')

    def do_GET(self) -> None:
        if self._broken():
            return
        if "list-type" in self._query():
            self._list()
        else:
            self._send_object(with_body=True)

    def do_HEAD(self) -> None:
        if not self._broken():
            self._send_object(with_body=False)

    def do_DELETE(self) -> None:
        if not self._broken():
            self._object().unlink(missing_ok=True)
            self._answer(204)

    def log_message(self, *_: object) -> None:
        pass

    def _begin_parts(self) -> None:
        upload = f"u{abs(hash(self.path))}"
        self._xml(
            f"<InitiateMultipartUploadResult {_FROM}><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        )

    def _send_object(self, *, with_body: bool) -> None:
        path = self._object()
        if not path.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>" if with_body else b"")
            return
        content, status, headers = path.read_bytes(), 200, {"ETag": '"e"', "Last-Modified": _LONG_AGO}
        if (span := self.headers.get("Range")) is not None:
            first, _, last = span.removeprefix("bytes=").partition("-")
            headers["Content-Range"] = f"bytes {first}-{min(int(last), len(content) - 1)}/{len(content)}"
            content, status = content[int(first) : int(last) + 1], 206
        self._answer(status, content, headers, with_body=with_body)

    def _list(self) -> None:
        bucket = self.root / urllib.parse.urlsplit(self.path).path.strip("/")
        rows = "".join(
            f"<Contents><Key>{path.relative_to(bucket)}</Key><Size>{path.stat().st_size}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag></Contents>"
            for path in sorted(bucket.rglob("*"))
            if path.is_file()
        )
        self._xml(f"<ListBucketResult {_FROM}><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>")

    def _object(self) -> Path:
        return self.root / urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/")

    def _part(self, upload: str, number: str) -> Path:
        return self.root / ".parts" / upload / number

    def _query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))

    def _broken(self) -> bool:
        if (self.root / "BROKEN").exists():
            self._answer(503, b"<Error><Code>SlowDown</Code></Error>", with_body=self.command != "HEAD")
            return True
        return False

    def _xml(self, text: str) -> None:
        self._answer(200, f"{_XML}{text}".encode(), {"Content-Type": "application/xml"})

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


_LONG_AGO = "Thu, 01 Jan 2026 00:00:00 GMT"


def server(root: Path, port: int) -> ThreadingHTTPServer:
    made = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"root": root}))
    made.daemon_threads = True
    return made


@contextmanager
def s3_emulator(root: Path, port: int = 0) -> Iterator[str]:
    """Its endpoint's URL, for as long as it runs, in a thread."""
    root.mkdir(parents=True, exist_ok=True)
    made = server(root, port)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join(5)


if __name__ == "__main__":
    server(Path(sys.argv[1]), int(sys.argv[2])).serve_forever()
