"""A real HTTP server of motion JPEG for tests: a process of its own that serves pictures that say when they were taken.

python mjpeg_server.py PORT [--fps 25] [--user NAME:PASSWORD] [--digest]; prints "ready" once it listens. Paths: /view;
/unsized (parts without Content-Length); and the ill ones: /silent (headers, then nothing), /mute (never answers),
/truncated (each fifth picture lacks its second half), /halved (the same, announced as whole), /damaged (no picture is
whole), /monstrous (it claims to be 65500 x 65500), /resized (another size from the 20th picture on), /page (HTML).
"""

import argparse
import base64
import hashlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import parse_http_list, parse_keqv_list

import cv2
import numpy as np
from served_pictures import HEIGHT, WIDTH, clock_ms, pixels

STREAMS = {"/view", "/truncated", "/halved", "/damaged", "/monstrous", "/resized", "/unsized"}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - what HTTP's Digest login is made of


class Handler(BaseHTTPRequestHandler):
    fps = 25
    login = ""
    digest = False

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.login and not self._knows(self.headers.get("Authorization", "")):
            self.send_response(401)
            digest = 'Digest realm="camera", nonce="5a1f", qop="auth", algorithm=MD5'
            self.send_header("WWW-Authenticate", digest if self.digest else 'Basic realm="camera"')
            self.end_headers()
        elif self.path in STREAMS:
            self._stream()
        else:
            self._fail()

    def _knows(self, said: str) -> bool:
        if not self.digest:
            return said == "Basic " + base64.b64encode(self.login.encode()).decode()
        fields = parse_keqv_list(parse_http_list(said.partition(" ")[2]))
        user, _, password = self.login.partition(":")
        secret, asked = md5(f"{user}:camera:{password}"), md5(f"GET:{self.path}")
        counted = ":".join(fields.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return fields.get("username") == user and fields.get("response") == md5(f"{secret}:{counted}:{asked}")

    def _fail(self) -> None:
        if self.path == "/mute":
            time.sleep(60)
        elif self.path == "/silent":
            self._head()
            time.sleep(60)
        elif self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>a camera's web page</p>")
        else:
            self.send_error(404)

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()

    def _stream(self) -> None:
        self._head()
        due_s, number = time.monotonic(), 0
        try:
            while True:
                number += 1
                self._part(number)
                due_s = max(due_s + 1 / self.fps, time.monotonic())
                time.sleep(max(0.0, due_s - time.monotonic()))
        except OSError:
            return

    def _part(self, number: int) -> None:
        larger = 2 if self.path == "/resized" and number >= 20 else 1
        width, height = WIDTH * larger, HEIGHT * larger
        image = np.frombuffer(pixels(clock_ms(), width, height), np.uint8).reshape(height, width, 3)
        data = cv2.imencode(".jpg", image)[1].tobytes()
        whole = len(data)
        if self.path == "/damaged" or (self.path in {"/truncated", "/halved"} and number % 5 == 0):
            data = data[: whole // 2]
        if self.path == "/monstrous":
            at = data.index(b"\xff\xc0") + 5
            data = data[:at] + b"\xff\xdc\xff\xdc" + data[at + 4 :]
        size_bytes = whole if self.path == "/halved" else len(data)
        size = "" if self.path == "/unsized" else f"Content-Length: {size_bytes}\r\n"
        self.wfile.write(f"--frame\r\nContent-Type: image/jpeg\r\n{size}\r\n".encode() + data + b"\r\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--user", default="")
    parser.add_argument("--digest", action="store_true")
    options = parser.parse_args()
    Handler.fps, Handler.login, Handler.digest = options.fps, options.user, options.digest
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
