"""Stand-ins for AWS: moto in this process; ministack and dynalite as servers, once for all tests.

Servers listen on 127.0.0.1 alone, at a free port, and end with the tests. Where one cannot be had its tests
are left out and say so; under CI=true they fail.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from bulkqa.aws.clients import make_client
from tests.support_aws import REGION

ROOT = Path(__file__).parent.parent
SECONDS = 20
"""How long a server may take to come up."""

NO_FILES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Keeps a developer's own settings for AWS out of the tests."""

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **NO_FILES}


class Server:
    """A stand-in that runs as a server; its clients are made once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """This server's client of a service."""
        if service not in self._clients:
            self._clients[service] = self.new_client(service)
        return self._clients[service]

    def new_client(self, service: str) -> Any:
        """A client of its own, whose calls a test may meddle with."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            return make_client(service, self.url, REGION)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """S3 and DynamoDB in ministack; `reset` empties it."""
    home = tmp_path_factory.mktemp("ministack")
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # else it opens a port for MQTT, too
    }
    command = [sys.executable, "-m", "ministack"]
    with _running(command, environment, home, port) as url:
        _answer(f"{url}/_ministack/health")
        yield Server(url)


def reset(server: Server) -> None:
    """Empty ministack."""
    request = urllib.request.Request(f"{server.url}/_ministack/reset", method="POST")  # noqa: S310
    urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310


@pytest.fixture(scope="session")
def dynalite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """DynamoDB in dynalite, which knows no PartiQL and tells no row with a refusal."""
    node = shutil.which("node")
    program = ROOT / "node_modules" / "dynalite" / "cli.js"
    if node is None or not program.exists():
        _missing("dynalite is not there: it needs Node, and `npm ci`")
    home = tmp_path_factory.mktemp("dynalite")
    port = _free_port()
    command = [str(node), str(program), "--host", "127.0.0.1", "--port", str(port), "--createTableMs", "0"]
    with _running(command, {"PATH": os.environ["PATH"], "HOME": str(home)}, home, port) as url:
        yield Server(url)


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS in this process: clients made by `moto_client` reach it while the test runs."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield


def moto_client(service: str) -> Any:
    """A client of moto, one call at a time: its tables do not bear several threads."""
    client = make_client(service, region=REGION)
    call, lock = client._make_api_call, threading.Lock()

    def one_at_a_time(operation: str, arguments: dict[str, Any]) -> Any:
        with lock:
            return call(operation, arguments)

    client._make_api_call = one_at_a_time
    return client


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], home: Path, port: int) -> Iterator[str]:
    """Run a server until the tests end; give its address once it takes connections."""
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_for(port, server, home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    _missing(f"a stand-in for AWS did not come up: {log.read_text('utf-8', 'replace')[-500:]}")


def _answer(url: str) -> None:
    urllib.request.urlopen(url, timeout=SECONDS).close()  # noqa: S310


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
