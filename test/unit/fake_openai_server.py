"""A small HTTP server that answers like an OpenAI-compatible one, for the tests. Run it as a process; it prints its port.

What it does is chosen by the model's name in the request: "json:<text>" answers with that text, "status:<n>" with that status,
"flaky:<text>" with 503 first and the text from the third request on, "slow" not for 30 s, "drip" a byte at a time, "close" hangs up,
"garbage" with bytes that are no JSON, "huge" without end, "echo" with a refusal that repeats what it was sent, "leak" with an error that
repeats the key, "question:<text>" with that question. A GET is answered by the whole body of the newest POST.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Handler(BaseHTTPRequestHandler):
    counts: dict[str, int] = {}  # noqa: RUF012
    newest = [b"{}"]  # noqa: RUF012

    def do_GET(self) -> None:
        self.answer(200, self.newest[0])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.newest[0] = body
        request = json.loads(body)
        kind, _, text = str(request["model"]).partition(":")
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "json":
            self.answer(200, completion(text))
        elif kind == "status":
            self.answer(int(text), b'{"error": "no"}')
        elif kind == "flaky":
            self.answer(503 if self.counts[kind] < 3 else 200, completion(text))
        elif kind == "leak":
            self.answer(401, f"wrong key {self.headers['Authorization']}".encode())
        elif kind == "slow":
            time.sleep(30)
        elif kind == "drip":
            self.drip()
        elif kind == "garbage":
            self.answer(200, b"\xff\x00<html>")
        elif kind == "huge":
            self.answer(200, b"x" * 2_000_000)
        elif kind == "echo":
            self.answer(200, completion(json.dumps(self.echo(request))))
        elif kind == "question":
            asked = {"explanation": "", "refusal": "", "question": text, "options": ["the red one", "the green one"], "steps": []}
            self.answer(200, completion(json.dumps(asked)))
        # "close": nothing is sent

    def echo(self, request: dict[str, Any]) -> dict[str, Any]:
        content = request["messages"][1]["content"]
        seen = {
            "path": self.path,
            "authorization": hashlib.sha256(self.headers.get("Authorization", "").encode()).hexdigest()[:16],
            "text": content[0]["text"],
        }
        return {"explanation": "", "refusal": json.dumps(seen)[:290], "question": "", "options": [], "steps": []}

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def served() -> Iterator[str]:
    """The base URL of a server process."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def picture_in(request: dict[str, Any]) -> Any:
    """The image that came with the words, [height, width, 3] RGB; fails where it is no JPEG."""
    import cv2
    import numpy as np

    (url,) = [part["image_url"]["url"] for part in request["messages"][1]["content"] if part["type"] == "image_url"]
    kind, _, data = url.partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data, validate=True), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[:, :, ::-1], dtype=np.uint8)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
