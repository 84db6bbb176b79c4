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


class MissingError(Exception):
    """A stand-in that cannot be had here, and why."""


class Server:
    """A stand-in that runs as a server, the process `pid`; its clients are made once.

    `variables` are what programs need in their environment to reach it: with what it must be trusted by (its
    certificate), and with credentials where those are not everybody's.
    """

    def __init__(self, url: str, pid: int, **variables: str) -> None:
        self.url = url
        self.pid = pid
        place = {"AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        self.variables = {**CREDENTIALS, **place, **variables}
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """This server's client of a service."""
        if service not in self._clients:
            self._clients[service] = self.new_client(service)
        return self._clients[service]

    def new_client(self, service: str) -> Any:
        """A client of its own, whose calls a test may meddle with."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            return make_client(service, self.url, REGION)


@contextmanager
def or_skip() -> Iterator[None]:
    """Leave out the tests of a stand-in that cannot be had; under CI=true have them fail."""
    try:
        yield
    except MissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@contextmanager
def serving_ministack(home: Path, *launcher: str, secured: bool = False) -> Iterator[Server]:
    """Run ministack, started with Python's arguments `launcher`; raise `MissingError` if it does not come up.

    All that it writes is below `home`. `secured` serves over TLS and lets nobody do what no policy allows.
    Its functions have its environment, in which nothing of this one's is but the path.
    """
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # else it opens a port for MQTT, too
    }
    trust: dict[str, str] = {}
    if secured:
        certificate = str(home / "ministack-tls" / "server.crt")
        trust = {"AWS_CA_BUNDLE": certificate, "NODE_EXTRA_CA_CERTS": certificate}
        environment |= {"AUTH": "true", "USE_SSL": "1", "SSL_CERT_FILE": certificate, **trust}
    command = [sys.executable, *(launcher or ("-m", "ministack"))]
    with _running(command, environment, home, port) as pid:
        server = Server(f"http{'s' if secured else ''}://127.0.0.1:{port}", pid, **trust)
        server.client("sts").get_caller_identity()  # it takes connections before it answers
        yield server


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """S3 and DynamoDB in ministack; `reset` empties it."""
    with or_skip(), serving_ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


def reset(server: Server) -> None:
    """Empty ministack."""
    request = urllib.request.Request(f"{server.url}/_ministack/reset", method="POST")  # noqa: S310
    urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310


@pytest.fixture(scope="session")
def dynalite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """DynamoDB in dynalite, which knows no PartiQL and tells no row with a refusal."""
    home = tmp_path_factory.mktemp("dynalite")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    port = _free_port()
    with or_skip():
        command = [*of_node("dynalite", "cli.js"), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--createTableMs", "0"]
        with _running(command, environment, home, port) as pid:
            yield Server(f"http://127.0.0.1:{port}", pid)


def of_node(package: str, program: str) -> list[str]:
    """How a program of a Node package is started; raise `MissingError` if it is not there."""
    node = shutil.which("node")
    path = ROOT / "node_modules" / package / program
    if node is None or not path.exists():
        raise MissingError(f"{package} is not there: it needs Node, and `npm ci`")
    return [node, str(path)]


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS in this process: clients made by `moto_client` reach it while the test runs."""
    from moto import mock_aws  # here: loading it takes longer than most tests that do without

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


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], home: Path, port: int) -> Iterator[int]:
    """Run a server from when it takes connections until the tests end; give its process' number."""
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_for(port, server, home / "log")
            yield server.pid
        finally:
            server.kill()  # it has nothing to keep, and would first wait for its clients to hang up


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise MissingError(f"a stand-in for AWS did not come up: {log.read_text('utf-8', 'replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
