"""Turns templates into pages.

A worker template is Liquid, since Ground Truth renders it as such: `render_worker_page` does what Ground
Truth's own renderer does with the same file, so that one template serves every host.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache

import jinja2
from liquid import BoundTemplate, Environment, Markup
from liquid.exceptions import LiquidError, TemplateNotFoundError
from liquid.stringify import to_liquid_string
from liquid.undefined import is_undefined

from bulkqa.errors import InputError
from bulkqa.shipped import shipped

CROWD_SCRIPT_URL = "https://assets.crowd.aws/crowd-html-elements.js"

# Only as the source of a script element: the same address in a text or a link is left as it is.
_CROWD_SCRIPT = re.compile(
    r"""(<script\b[^>]*?\ssrc\s*=\s*)(["']?)(?:https?:)?//assets\.crowd\.aws/crowd-html-elements\.js\2(?=[\s/>])""",
    re.IGNORECASE,
)


class _WorkerEnvironment(Environment):
    """Liquid as Ground Truth speaks it, with limits: a worker template is a file somebody hands us."""

    context_depth_limit = 30
    loop_iteration_limit = 100_000
    local_namespace_limit = 2_000_000
    output_stream_limit = 8_000_000

    def __init__(self) -> None:
        super().__init__(autoescape=True)
        self.filters |= {
            "grant_read_access": _grant_read_access,
            "s3_presign": _grant_read_access,
            "to_json": _to_json,
            "skip_autoescape": _skip_autoescape,
        }


# Who renders says how pictures are reached; the parsed template is the same for all.
_read_access: ContextVar[Callable[[str], str]] = ContextVar("read_access")


@lru_cache(maxsize=16)
def _parsed(template: str) -> BoundTemplate:
    return _WorkerEnvironment().from_string(template)


def _grant_read_access(value: object) -> str:
    # A plain string, never markup: the "&" of a signed address is escaped, once, on its way out.
    return "" if value is None or is_undefined(value) else str(_read_access.get()(str(value)))


def _to_json(value: object) -> str:
    return json.dumps(None if is_undefined(value) else value, ensure_ascii=False)


def _skip_autoescape(value: object) -> Markup:
    return Markup("" if is_undefined(value) else to_liquid_string(value, autoescape=False))


def render_worker_page(
    template: str,
    task_input: Mapping[str, object],
    *,
    read_access: Callable[[str], str],
    crowd_script: str,
) -> str:
    """Render a worker template for one task.

    `task_input` is what the template knows as `task.input`; everything it prints is escaped. `read_access`
    turns a picture's reference into an address the reviewer's browser may read. The address of the crowd
    elements' script is replaced by `crowd_script`, and nothing else of the template.

    >>> render_worker_page(
    ...     '<img src="{{ task.input.picture | grant_read_access }}">{{ task.input.label }}',
    ...     {"picture": "s3://bucket/1.jpg", "label": "Cat & Dog"},
    ...     read_access=lambda reference: f"/picture?of={reference}&until=9",
    ...     crowd_script="/static/crowd.js",
    ... )
    '<img src="/picture?of=s3://bucket/1.jpg&amp;until=9">Cat &amp; Dog'

    A template that cannot be used raises `InputError`, which names the line where there is one.

    >>> render_worker_page("<p>\\n{% if %}", {}, read_access=str, crowd_script="")
    Traceback (most recent call last):
    bulkqa.errors.InputError: the worker template cannot be used: line 2: ...
    """
    token = _read_access.set(read_access)
    try:
        page = _parsed(template).render(task={"input": task_input})
    except LiquidError as error:
        raise InputError(_explain(error)) from error
    except RecursionError as error:
        raise InputError("the worker template cannot be used: it is nested too deeply") from error
    finally:
        _read_access.reset(token)
    address = html.escape(crowd_script)
    return _CROWD_SCRIPT.sub(lambda found: f'{found[1]}"{address}"', page)


def _explain(error: LiquidError) -> str:
    what = error.message
    if isinstance(error, TemplateNotFoundError):
        what = f"there is no other template '{what}'"
    return f"the worker template cannot be used: {_place(error)}{what}"


def _place(error: LiquidError) -> str:
    if error.token is None:
        return ""
    try:
        place = error.context()
    except ValueError:  # behind the last character
        place = None
    return f"line {place[0]}: " if place else "at its end: "


def render_page(name: str, **context: object) -> str:
    """Render one of the portal's own pages, `templates/portal/<name>.html`; all values are escaped."""
    return _pages().get_template(f"{name}.html").render(context)


@cache
def _pages() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped("templates/portal")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
