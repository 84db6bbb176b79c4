"""The web app: sign in, the next page, its answer, the end.

A task's page runs in a sandboxed frame, as in Ground Truth's portal, and hands its answer to the page
around it, which sends it. Neither can touch the other.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bulkqa import jobs, steps
from bulkqa.errors import BulkqaError, ConflictError, InputError, NotFoundError
from bulkqa.flow.examples import CellExamples
from bulkqa.flow.tasks import page_input
from bulkqa.portal.security import SESSION_SECONDS, Guard, Signatures, task_policy
from bulkqa.ports import Store, TaskQueue
from bulkqa.rendering import render_page, render_worker_page
from bulkqa.report_page import Picture, linked, policy, render_report
from bulkqa.settings import JobSettings, timestamp
from bulkqa.steps.closing import Closer
from bulkqa.steps.confusion import confusion_after_rounds
from bulkqa.steps.document import as_json
from bulkqa.wire import MAX_TASK_INPUT

STATIC = Path(__file__).parent / "static"
LEASE_SECONDS = 3600.0
CROWD_SCRIPT = "/static/crowd.js"

FindPicture = Callable[[Path, str], tuple[Path, str]]
"""Finds (file, media type) of (image root, path below it); raises as `bulkqa.local.pictures` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What the portal needs: the ports, the worker template, who may come, and under which names it answers.

    `origins` are the addresses people type, such as `http://127.0.0.1:8765`, the first one the usual. Where
    `results` are shown, it is to whoever has their link: a reviewer who saw them would not judge by the
    pictures alone any more.
    """

    store: Store
    picture: FindPicture
    template: str
    reviewers: tuple[str, ...]
    signatures: Signatures
    origins: tuple[str, ...]
    results: bool = False
    lease_seconds: float = LEASE_SECONDS
    now: Callable[[], float] = time.time

    @property
    def queue(self) -> TaskQueue:
        """The queue of pages."""
        if self.store.queue is None:
            raise BulkqaError("the portal needs a queue of pages")
        return self.store.queue

    def link(self, reviewer: str) -> str:
        """Return the address by which a reviewer signs in."""
        return f"{self.origins[0]}/sign-in/{self.signatures.link_token(reviewer)}"

    @property
    def results_link(self) -> str:
        """The address by which whoever runs the portal comes to the results."""
        return f"{self.origins[0]}/results/sign-in/{self.signatures.results_token()}"

    @property
    def cookie(self) -> str:
        """The session cookie's name. Cookies do not heed ports, so the port is part of it."""
        return f"bulkqa-{urlsplit(self.origins[0]).port or 'portal'}"


def create_app(portal: Portal) -> ASGIApp:
    """Return the portal as an ASGI app."""
    pages = _Pages(portal)
    app = Starlette(
        routes=[
            Route("/", pages.next),
            Route("/sign-in/{token}", pages.sign_in),
            Route("/sign-out", pages.sign_out, methods=["POST"]),
            Route("/task/{job}/{number:int}", pages.task),
            Route("/task/{job}/{number:int}/answer", pages.answer, methods=["POST"]),
            Route("/task/{job}/{number:int}/skip", pages.skip, methods=["POST"]),
            Route("/obj/{job}/{path:path}", pages.picture),
            *(pages.results_routes() if portal.results else ()),
            Route("/health", lambda _: JSONResponse({"ok": True})),
            Route("/favicon.ico", lambda _: FileResponse(STATIC / "favicon.svg", media_type="image/svg+xml")),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={
            HTTPException: _http_error,
            NotFoundError: partial(_error, status=404),
            ConflictError: partial(_error, status=409),
            InputError: partial(_error, status=400),
            BulkqaError: partial(_error, status=500),
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, frozenset(urlsplit(origin).netloc.lower() for origin in portal.origins))


def _wants_json(request: Request) -> bool:
    return request.method == "POST"


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette calls this for nothing else
    return _problem(request, error.status_code, error.detail)


def _error(request: Request, error: Exception, status: int) -> Response:
    return _problem(request, status, str(error))


def _problem(request: Request, status: int, message: str) -> Response:
    if _wants_json(request):
        return JSONResponse({"error": message}, status)
    return HTMLResponse(render_page("message", title="That did not work", message=message), status)


class _Pages:
    """The endpoints. Plain functions run in a thread each, so that waiting for the disk holds up nobody."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._jobs: dict[str, JobSettings] = {}
        self._one_report = threading.Lock()
        self._closer = Closer(portal.store)

    def sign_in(self, request: Request) -> Response:
        portal = self._portal
        reviewer = portal.signatures.reviewer_of_link(request.path_params["token"])
        if reviewer not in portal.reviewers:
            raise HTTPException(403, "This link is not valid here. Ask for a new one.")
        # A page of our own and no redirect: a browser sends a strict cookie only on from a page of this site.
        text = f"Welcome, {reviewer}"
        response = HTMLResponse(render_page("continue", welcome=text, to="/", action="Start reviewing"))
        return self._signed_in(response, portal.cookie, portal.signatures.session(reviewer))

    def _signed_in(self, response: Response, cookie: str, session: str) -> Response:
        response.set_cookie(
            cookie,
            session,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._portal.origins[0].startswith("https:"),
        )
        return response

    def sign_out(self, request: Request) -> Response:
        self._check_change(request)
        response = JSONResponse({"signed_out": True})
        response.delete_cookie(self._portal.cookie, httponly=True, samesite="strict")
        return response

    def next(self, request: Request) -> Response:
        portal = self._portal
        session, reviewer = self._session(request)
        worker = portal.signatures.worker_id(reviewer)
        task = portal.queue.take(worker, portal.now(), portal.lease_seconds)
        common = {"reviewer": reviewer, "csrf_token": portal.signatures.csrf_token(session)}
        pages_done, decisions = portal.queue.work_of(worker)
        if task is None:
            waiting = portal.queue.waiting(worker)
            page = render_page("end", **common, waiting=waiting, pages=pages_done, decisions=decisions)
            return HTMLResponse(page)
        progress = portal.queue.progress(task.job).values()
        answers, wanted = sum(p.answers for p in progress), sum(p.wanted for p in progress)
        page = render_page("task", **common, task=task, answers=answers, wanted=wanted, pages=pages_done)
        return HTMLResponse(page)

    def task(self, request: Request) -> Response:
        portal = self._portal
        _, reviewer = self._session(request)
        job, number = self._held(request, reviewer)
        items = jobs.page_items(job, number, portal.store.blobs)
        page = render_worker_page(
            portal.template,
            page_input(items, jobs.about(self._settings(job)), MAX_TASK_INPUT),
            read_access=partial(self._address, job),
            crowd_script=CROWD_SCRIPT,
        )
        origins = (_origin(item.image) for item in items if item.image.startswith(("https://", "http://")))
        return HTMLResponse(page, headers={"Content-Security-Policy": task_policy(origins)})

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._answer, request, body)

    def _answer(self, request: Request, body: bytes) -> Response:
        portal = self._portal
        reviewer = self._check_change(request)
        job, number = self._held(request, reviewer)
        try:
            content = json.loads(body)["answer"]
        except (ValueError, KeyError, TypeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise HTTPException(400, "The answer could not be read.")
        now = timestamp(portal.now())
        worker = portal.signatures.worker_id(reviewer)
        receipt = steps.answer_page(job, number, worker, content, portal.store, now)
        settings = self._settings(job)
        if settings.stop_early is not None:
            self._closer.look(settings, number, receipt.label, now)
        counted, already, unknown = receipt.recorded
        # Known-answer items are no votes; the reply must not tell how many of them the page had.
        others = len(receipt.answer.decisions) - counted - already - len(unknown)
        return JSONResponse(
            {
                "counted": counted + (others if counted else 0),
                "already": already + (0 if counted else others),
                "unknown": len(unknown),
                "problems": [[problem.name, problem.reason] for problem in receipt.answer.problems],
            }
        )

    def skip(self, request: Request) -> Response:
        reviewer = self._check_change(request)
        job, number = self._held(request, reviewer)
        self._portal.queue.give_back(self._portal.signatures.worker_id(reviewer), job, number)
        return JSONResponse({"skipped": True})

    def picture(self, request: Request) -> Response:
        portal = self._portal
        job, path = request.path_params["job"], request.path_params["path"]
        end, signature = request.query_params.get("exp", ""), request.query_params.get("sig", "")
        if not portal.signatures.picture_is_allowed(job, path, end, signature, portal.now()):
            raise HTTPException(403, "This address of a picture is not valid, or not any more.")
        root = self._settings(job).image_root
        if root is None:
            raise NotFoundError(f"job {job!r} was launched without a folder of pictures")
        file, media_type = portal.picture(Path(root), path)
        return FileResponse(
            file,
            media_type=media_type,
            headers={
                "Content-Disposition": "inline",
                "Cache-Control": "private, max-age=3600",
                # An SVG is a document of its own when opened by itself; it must not run anything.
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            },
        )

    def results_routes(self) -> tuple[Route, ...]:
        """Return where the results are."""
        return (
            Route("/results/sign-in/{token}", self.results_sign_in),
            Route("/results", self.results),
            Route("/results/{job}", self.result),
        )

    @property
    def _results_cookie(self) -> str:
        return f"{self._portal.cookie}-results"

    def results_sign_in(self, request: Request) -> Response:
        """Let in whoever has the link to the results."""
        signatures = self._portal.signatures
        if not signatures.results_token_is_right(request.path_params["token"]):
            raise HTTPException(403, "This link is not valid here. Ask for a new one.")
        page = render_page("continue", welcome="The results", to="/results", action="Read the results")
        return self._signed_in(HTMLResponse(page), self._results_cookie, signatures.results_session())

    def _check_reader(self, request: Request) -> None:
        """Refuse whoever may not read the results; a reviewer may not."""
        session = request.cookies.get(self._results_cookie, "")
        if not self._portal.signatures.results_session_is_right(session):
            raise HTTPException(401, "The results are for those who have their link.")

    def results(self, request: Request) -> Response:
        """List the jobs."""
        self._check_reader(request)
        return HTMLResponse(render_page("results", jobs=jobs.all_jobs(self._portal.store.blobs)))

    def result(self, request: Request) -> Response:
        """Show the report of a job as it is now."""
        self._check_reader(request)
        job = request.path_params["job"]
        examples = CellExamples(self._settings(job).bands)
        with self._one_report:  # each reads the whole job: reviewers come first
            analysis = steps.analyse_job(job, self._portal.store, see=examples.add)
            confusion = confusion_after_rounds(job, self._portal.store)

        def picture(reference: str) -> Picture:
            address = self._address(job, reference) if reference.startswith("local://") else None
            return Picture(address, address) if address else linked(reference)

        document = as_json(analysis, confusion=confusion) | {"examples": examples.as_json()}
        page = render_report(document, picture)
        headers = {"Content-Security-Policy": f"{policy()}; frame-ancestors 'none'"}
        return HTMLResponse(page, headers=headers)

    def _session(self, request: Request) -> tuple[str, str]:
        """Return the session and whose it is."""
        session = request.cookies.get(self._portal.cookie, "")
        reviewer = self._portal.signatures.reviewer_of_session(session)
        if reviewer is None or reviewer not in self._portal.reviewers:
            raise HTTPException(401, "You are not signed in. Open the link you were given.")
        return session, reviewer

    def _check_change(self, request: Request) -> str:
        """Return who asks for a change, if the request can only have come from our own page."""
        session, reviewer = self._session(request)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "Only application/json is taken.")
        if request.headers.get("origin") not in self._portal.origins:
            raise HTTPException(403, "The request comes from another site.")
        token = request.headers.get("x-csrf-token", "")
        if not self._portal.signatures.csrf_token_is_right(session, token):
            raise HTTPException(403, "The page is out of date. Load it again.")
        return reviewer

    def _held(self, request: Request, reviewer: str) -> tuple[str, int]:
        """Return the job and number in the address of a page that this reviewer was given."""
        job, number = request.path_params["job"], request.path_params["number"]
        worker = self._portal.signatures.worker_id(reviewer)
        if not self._portal.queue.holds(worker, job, number):
            raise HTTPException(409, "This page is not yours, or not any more. Load the next one.")
        return job, number

    def _address(self, job: str, reference: str) -> str:
        """Return the address of a picture for a reviewer's browser; empty if it has none."""
        if reference.startswith("local://"):
            path = reference.removeprefix("local://")
            return self._portal.signatures.picture_path(job, path, self._portal.now())
        return reference if reference.startswith(("https://", "http://")) else ""

    def _settings(self, job: str) -> JobSettings:
        """Return a job's settings, which never change and so are read once."""
        if job not in self._jobs:
            self._jobs[job] = jobs.settings_of(job, self._portal.store.blobs)
        return self._jobs[job]


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL, with nothing that could end a policy's directive."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host and not set(host) & set(" ;,'\"") else "'self'"
