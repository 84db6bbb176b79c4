"""Runs the portal under uvicorn, in the foreground or beside something else."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bulkqa.errors import BulkqaError, InputError

DEFAULT_PORT = 8765

_START_SECONDS = 15.0


def listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket: on `port`, or, where none is asked for, on 8765 or else any free one.

    Raises `InputError` where that port or host is not to be had.
    """
    for wanted in (port,) if port is not None else (DEFAULT_PORT, 0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With the protocol named, asyncio sends small answers at once (TCP_NODELAY) and not 40 ms later.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, wanted))
            sock.listen(128)
        except (OSError, OverflowError) as error:
            sock.close()
            reason = error
        else:
            return sock
    raise InputError(f"cannot listen on {host}, port {wanted}: {reason}")


def origins(sock: socket.socket, host: str) -> tuple[str, ...]:
    """Return the addresses under which a server on this socket is known, the usual one first.

    >>> with listen("127.0.0.1", 0) as sock:
    ...     [origin.rpartition(":")[0] for origin in origins(sock, "127.0.0.1")]
    ['http://127.0.0.1', 'http://localhost']
    """
    port = sock.getsockname()[1]
    names = [f"[{host}]" if ":" in host else host]
    if host in ("0.0.0.0", "::"):  # noqa: S104  all addresses: people use this machine's name
        names = [socket.gethostname(), "127.0.0.1", *_own_addresses()]
    if "localhost" not in names:
        names.append("localhost")
    return tuple(f"http://{name}:{port}" for name in names)


def _own_addresses() -> list[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    return sorted({str(address[4][0]) for address in found} - {"127.0.0.1"})


def serve(app: ASGIApp, sock: socket.socket) -> None:
    """Serve until the process is told to stop."""
    _server(app).run(sockets=[sock])


@contextmanager
def serving(app: ASGIApp, sock: socket.socket) -> Iterator[None]:
    """Serve in a thread of its own as long as the block runs."""
    server = _server(app)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [sock]}, name="bulkqa-portal", daemon=True
    )
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise BulkqaError("the portal did not start")
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """A server that ends connections which came while it was closing, too: browsers open some in advance."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close, and leave no connection open."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # in which they are closed


def _server(app: ASGIApp) -> uvicorn.Server:
    # A request passes from thread to thread, and each handover may have to wait this long for Python's lock.
    # With the usual 5 ms, several reviewers at once would wait for little else.
    sys.setswitchinterval(0.0005)
    return _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # a sign-in link is a secret, and would stand in it
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
