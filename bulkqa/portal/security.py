"""What keeps the portal safe: signed links, cookies and picture addresses, and a guard before the app.

Signatures are itsdangerous', one salt for each use, so that none can stand in for another.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from itsdangerous import BadData, Signer, URLSafeSerializer, URLSafeTimedSerializer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION_SECONDS = 7 * 24 * 3600
PICTURE_SECONDS = 3600
MAX_BODY = 256 * 1024
"""Bytes of a request's body at most: an answer to 100 pictures has some 7,000."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of the portal's own pages."""


def task_policy(picture_origins: Iterable[str]) -> str:
    """Return the policy of a task's page: a frame without an origin, which can reach nothing but pictures.

    Worker templates carry their scripts and styles inline, so these are allowed there; `sandbox` keeps
    them from the portal's cookies and pages even where the frame is opened by itself.
    """
    pictures = " ".join(["'self'", "data:", "blob:", *sorted(set(picture_origins))])
    return (
        "sandbox allow-scripts allow-forms; default-src 'none'; script-src 'self' 'unsafe-inline'; "
        f"style-src 'self' 'unsafe-inline'; img-src {pictures}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )


class Signatures:
    """Makes and checks every signed thing of the portal. `secret` holds at least 16 random bytes."""

    def __init__(self, secret: bytes) -> None:
        options = {"digest_method": hashlib.sha256}
        self._link = URLSafeSerializer(secret, "sign-in", signer_kwargs=options)
        self._session = URLSafeTimedSerializer(secret, "session", signer_kwargs=options)
        self._csrf = Signer(secret, "csrf", digest_method=hashlib.sha256)
        self._picture = Signer(secret, "picture", digest_method=hashlib.sha256)
        self._worker = Signer(secret, "worker", digest_method=hashlib.sha256)
        self._results_link = URLSafeSerializer(secret, "results-sign-in", signer_kwargs=options)
        self._results_session = URLSafeTimedSerializer(secret, "results-session", signer_kwargs=options)

    def link_token(self, reviewer: str) -> str:
        """Return the token of a reviewer's sign-in link; the same one every time."""
        return _text(self._link.dumps(reviewer))

    def reviewer_of_link(self, token: str) -> str | None:
        """Return whose link this is, or None if it is nobody's."""
        try:
            return str(self._link.loads(token))
        except BadData:
            return None

    def session(self, reviewer: str) -> str:
        """Return the value of a session cookie."""
        return _text(self._session.dumps(reviewer))

    def reviewer_of_session(self, value: str) -> str | None:
        """Return whose session this is, or None if it is nobody's or too old."""
        try:
            return str(self._session.loads(value, max_age=SESSION_SECONDS))
        except BadData:
            return None

    def results_token(self) -> str:
        """Return the token of the link to the results; the same one every time."""
        return _text(self._results_link.dumps("results"))

    def results_token_is_right(self, token: str) -> bool:
        """Say whether this is the token of the link to the results."""
        return _is_signed(lambda: self._results_link.loads(token))

    def results_session(self) -> str:
        """Return the value of the cookie of whoever may read the results."""
        return _text(self._results_session.dumps("results"))

    def results_session_is_right(self, value: str) -> bool:
        """Say whether a cookie opens the results, and is not too old."""
        return _is_signed(lambda: self._results_session.loads(value, max_age=SESSION_SECONDS))

    def csrf_token(self, session: str) -> str:
        """Return the token that a session's own pages send along with every change."""
        return self._csrf.get_signature(session).decode()

    def csrf_token_is_right(self, session: str, token: str) -> bool:
        """Say whether `token` belongs to this session."""
        return self._csrf.verify_signature(session.encode(), token.encode("utf-8", "replace"))

    def worker_id(self, reviewer: str) -> str:
        """Return the pseudonym under which this reviewer's votes are kept, stable as long as the secret."""
        return f"local.{hashlib.sha256(self._worker.get_signature(reviewer)).hexdigest()[:16]}"

    def picture_path(self, job: str, path: str, now: float) -> str:
        """Return a path, with its query, under which a picture of a job may be read for one to two hours.

        The end is a full hour, so that a browser can keep the picture meanwhile.
        """
        end = (math.floor(now / PICTURE_SECONDS) + 2) * PICTURE_SECONDS
        signature = self._picture.get_signature(_picture(job, path, str(end))).decode()
        return f"/obj/{job}/{quote(path)}?exp={end}&sig={signature}"

    def picture_is_allowed(self, job: str, path: str, end: str, signature: str, now: float) -> bool:
        """Say whether a picture may be read under this address now."""
        data = _picture(job, path, end)
        if not self._picture.verify_signature(data, signature.encode("utf-8", "replace")):
            return False
        return now < int(end)  # what we signed ourselves is a number


def _picture(job: str, path: str, end: str) -> bytes:
    return "\n".join((job, end, path)).encode("utf-8", "surrogatepass")


def _is_signed(load: Callable[[], object]) -> bool:
    try:
        load()
    except BadData:
        return False
    return True


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class Guard:
    """Stands before the app: refuses foreign hosts and large bodies, and puts safe headers on every answer.

    It lies outside the app's own error handling, so that even a failure carries the headers.
    """

    app: ASGIApp
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _safe(message.get("headers", []))
            await send(message)

        # Whoever points a name of theirs at this machine (DNS rebinding) comes under that name.
        if headers.get(b"host", b"").decode("latin-1").lower() not in self.hosts:
            await _refuse(send_safely, 400, "this server is not known under that name")
            return
        try:
            announced = int(headers.get(b"content-length", b"0"))
        except ValueError:
            await _refuse(send_safely, 400, "the length of the request makes no sense")
            return
        if announced > MAX_BODY:
            await _refuse(send_safely, 413, f"more than {MAX_BODY} bytes")
            return
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, f"more than {MAX_BODY} bytes")
            return message

        await self.app(scope, receive_some, send_safely)


_ALWAYS = {
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}


def _safe(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with those added that the answer does not set itself."""
    present = {name.lower() for name, _ in headers}
    return [*headers, *((name, value) for name, value in _ALWAYS.items() if name not in present)]


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
