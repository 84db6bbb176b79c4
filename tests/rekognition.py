"""A stand-in for Rekognition's labels: a server that says of each picture in S3 what a test told it.

Clients reach it through `AWS_ENDPOINT_URL_REKOGNITION`.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sagemaker import RefusalError

MODEL = "arn:aws:rekognition:us-east-1:123456789012:project/rooms/version/v1/1574348467000"

Said = list[tuple[str, float]] | RefusalError
"""The labels of a picture, or how it is refused."""


class Rekognition:
    """The service. `says` has what is known of each picture by key; of all others it knows no label.

    `refusals` are those of the next calls, one each; `asked` are operations with the keys asked for; `peak`
    is the largest number of calls at once, each of which takes `seconds`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.says: dict[str, Said] = {}
        self.refusals: list[RefusalError] = []
        self.asked: list[tuple[str, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.running = {MODEL}
        self.seconds = 0.0
        self.peak = 0
        self._at_once = 0
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """The pictures asked for."""
        return [key for _, key in self.asked]

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer a call; raise `RefusalError` where it is refused."""
        with self._lock:
            self._at_once += 1
            self.peak = max(self.peak, self._at_once)
        try:
            time.sleep(self.seconds)
            with self._lock:
                return self._answer(operation, asked)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        key = asked["Image"]["S3Object"]["Name"]
        self.asked.append((operation, key))
        self.requests.append(asked)
        if self.refusals:
            raise self.refusals.pop(0)
        if operation == "DetectCustomLabels" and asked["ProjectVersionArn"] not in self.running:
            raise RefusalError("ResourceNotReadyException", "ProjectVersion is not ready")
        said = self.says.get(key, [])
        if isinstance(said, RefusalError):
            raise said
        labels = [
            {"Name": name, "Confidence": confidence}
            for name, confidence in said
            if confidence >= asked["MinConfidence"]
        ]
        return {"CustomLabels" if operation == "DetectCustomLabels" else "Labels": labels}


@contextmanager
def serving() -> Iterator[Rekognition]:
    """Serve Rekognition at a free port for a block."""
    fake = Rekognition()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").removeprefix("RekognitionService.")
            try:
                self._say(200, fake.answer(operation, json.loads(body)))
            except RefusalError as error:
                self._say(error.status, {"__type": error.code, "message": error.message})

        def _say(self, status: int, document: dict[str, Any]) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
