"""The HTTP side of a node's API: routes, owners, bodies, refusals, on bottle.

What every answer has in common is here: `Request-Id`, `Cache-Control: no-store`, problem documents for
refusals, and nothing of an unexpected failure but its class and line, which go to the log.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import uuid4

import bottle  # type: ignore[import-untyped]

from tvault.errors import VaultError
from tvault.server.framing import HANG_UP, STREAM, FramingError, describe_failure
from tvault.server.intake import Intake, places_of
from tvault.server.trace import traced
from tvault.server.turns import Turns
from tvault.wire import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    JSON_TYPE,
    PROBLEM_TYPE,
    REQUEST_ID,
    RETRY_AFTER_SECONDS,
    Limits,
    encode_json,
    problem,
    sane_request_id,
)

Environ = dict[str, Any]

_SPARED: Final = 8
"""One in so many places is left for other owners than the one that holds all others."""

_BODY_READ: Final = "tvault.body_read"
_ID: Final = "tvault.request_id"
_ROUTE: Final = "tvault.route"
_OWNER: Final = "tvault.owner"
_CODE: Final = "tvault.code"
_ODD: Final = re.compile(r"[^!-~]")
"""What no path has, nor a name in it: bottle would drop bytes that are not UTF-8."""

_HANDED_ON: Final = {
    f"HTTP_{name.upper().replace('-', '_')}": name for name in (IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH)
}
"""The headers that handlers see, by their names in the environment."""

_log = logging.getLogger("tvault.server")


@dataclass(frozen=True)
class Call:
    """One request as its handler sees it.  `owner` is empty on a route that needs no key, `body` on a
    route that takes none.  `parameters` are the named parts of the path, `query` is the text behind it,
    and of the `headers` there are those of conditions and retries.
    """

    owner: str
    request_id: str
    body: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Call {self.request_id}>"


@dataclass(frozen=True)
class Answer:
    """What a handler answers: a JSON document, encoded."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Served:
    """A request that was answered: its `call` as the route has it ("GET /secrets/<name>"), empty when
    there is none, and its `owner`, empty when it is not known; the `code` of a refusal.  `is_noted`: an
    event tells of it already."""

    call: str
    owner: str
    request_id: str
    status: int
    code: str | None
    seconds: float
    is_noted: bool


class Crowd(NamedTuple):
    """How many requests there are: those worked on, in places that they take; those that wait for one;
    those whose body is not taken in yet."""

    working: int
    waiting: int
    bodies: int


@dataclass(frozen=True)
class Route:
    """A call of the API.  In the path, `<name>` stands for a parameter without slashes.  `has_key`: only
    with an API key.  `is_counted`: takes one of the places of requests that are worked on at once, and
    waits a moment for one.
    """

    method: str
    path: str
    handler: Callable[[Call], Answer]
    has_key: bool = True
    is_counted: bool = True

    @property
    def has_body(self) -> bool:
        """Whether its requests carry a JSON body."""
        return self.method in {"POST", "PUT"}


class Web:
    """A WSGI application of routes.

    `owner_of` gives the owner that an `Authorization` header stands for, or raises `VaultError`
    `unauthorized`.  Any exception of a handler but `VaultError` becomes `internal`.  `watch` is told of
    every request once it is answered.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        owner_of: Callable[[str | None], str],
        limits: Limits,
        watch: Callable[[Served], None] = lambda _: None,
    ) -> None:
        self._owner_of = owner_of
        self._watch = watch
        self._limits = limits
        most = limits.requests_at_once
        self._turns = Turns(most, spare=most // _SPARED)
        self._intake = Intake(limits.body_bytes)
        self._bottle = bottle.Bottle()
        self._bottle.config["catchall"] = False
        self._bottle.default_error_handler = _refuse_route
        methods: dict[str, list[str]] = {}
        for route in routes:
            self._bottle.route(route.path, route.method, partial(self._run, route))
            known = methods.setdefault(route.path, ["OPTIONS"])
            known += ["GET", "HEAD"] if route.method == "GET" else [route.method]
        for path, known in methods.items():
            self._bottle.route(path, "OPTIONS", partial(_tell_methods, sorted(known)))

    @property
    def crowd(self) -> Crowd:
        """How many requests there are now.  Any thread."""
        return Crowd(*self._turns.load, self._intake.waiting)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        began = time.monotonic()
        sent: str | None = environ.get("HTTP_REQUEST_ID")
        request_id = sent if sent is not None and sane_request_id(sent) else uuid4().hex
        environ[_ID] = request_id
        statuses: list[str] = []
        with traced(request_id) as trace:
            body = self._respond(environ, start_response, statuses)
        route, owner, code = (environ.get(key) for key in (_ROUTE, _OWNER, _CODE))
        served = Served(
            call=f"{route.method} {route.path}" if route is not None else "",
            owner=owner or "",
            request_id=request_id,
            status=int(statuses[-1][:3]),
            code=code,
            seconds=time.monotonic() - began,
            is_noted=trace.is_noted,
        )
        self._watch(served)
        return body

    def _respond(
        self, environ: Environ, start_response: Callable[..., Any], statuses: list[str]
    ) -> Iterable[bytes]:
        """The answer, with what every one has in common; its status is put into `statuses`."""
        request_id = environ[_ID]
        environ["PATH_INFO"] = _ODD.sub("?", environ["PATH_INFO"])

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(status)
            common = [(REQUEST_ID, request_id), ("Cache-Control", "no-store")]
            if carries_body(environ) and not is_body_read(environ):
                # What is left of the body must not be taken for the next request.
                common.append(("Connection", "close"))
            return start_response(status, [*headers, *common], exc_info)

        try:
            body: Iterable[bytes] = self._bottle(environ, start)
        except Exception as error:  # noqa: BLE001  whatever it is, the client must learn nothing of it
            _log.error("request %s failed: %s", request_id, describe_failure(error))
            environ[_CODE] = "internal"
            refusal = refused(VaultError("internal", "The request failed inside the server."))
            start(
                "500 Internal Server Error",
                [*refusal.headers, ("Content-Length", str(len(refusal.body)))],
            )
            body = [] if environ.get("REQUEST_METHOD") == "HEAD" else [refusal.body]
        return body

    def _run(self, route: Route, **parameters: str) -> Any:
        environ: Environ = bottle.request.environ
        environ[_ROUTE] = route
        try:
            answer = self._answer(route, environ, parameters)
        except VaultError as error:
            environ[_CODE] = error.code
            answer = refused(error)
        return _as_response(answer)

    def _answer(self, route: Route, environ: Environ, parameters: Mapping[str, str]) -> Answer:
        owner = self._owner_of(environ.get("HTTP_AUTHORIZATION")) if route.has_key else ""
        environ[_OWNER] = owner
        headers = {name: environ[key] for key, name in _HANDED_ON.items() if key in environ}

        def call(body: bytes) -> Call:
            query = environ.get("QUERY_STRING", "")
            return Call(owner, environ[_ID], body, parameters, query, headers)

        if not route.has_body:
            with self._turns.one(owner) if route.is_counted else nullcontext():
                return route.handler(call(b""))
        _check_json_type(environ)
        limit = self._limits.body_bytes
        with self._intake.body(
            owner,
            _length_of(environ, limit),
            environ[STREAM],
            partial(read_body, environ, limit),
            environ[HANG_UP],
        ) as body:
            places = places_of(body, limit)
            with self._turns.one(owner, places) if route.is_counted else nullcontext():
                return route.handler(call(body))


def json_answer(document: object, status: int = 200) -> Answer:
    """`document` as an answer."""
    return Answer(encode_json(document), status, (("Content-Type", JSON_TYPE),))


def retry_after() -> tuple[str, str]:
    """The header that says when a 503 may be tried again."""
    return "Retry-After", str(RETRY_AFTER_SECONDS)


def read_body(environ: Environ, limit: int) -> bytes:
    """The request's body, at most `limit` bytes, straight from the connection: bottle would put a
    large one into a file.

    Raises `VaultError` `too_large` (before it reads, if the length is announced), `malformed` when it
    is badly framed or does not arrive.
    """
    length = _length_of(environ, limit)
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except FramingError as error:
        raise VaultError("malformed", f"The body is badly framed: {error}.") from None
    except TimeoutError:
        raise VaultError("malformed", "The body did not arrive in time.") from None
    except OSError:
        raise VaultError("malformed", "The connection broke before the body was there.") from None
    if length is None and len(body) > limit:
        raise _too_long(limit)
    if length is not None and len(body) < length:
        raise VaultError("malformed", "The body ends before its Content-Length.")
    environ[_BODY_READ] = True
    return body


def _length_of(environ: Environ, limit: int) -> int | None:
    """The length of the body, if it is known.  Raises `VaultError` `too_large`."""
    if _is_chunked(environ):
        return None
    length = int(environ.get("CONTENT_LENGTH") or "0")
    if length > limit:
        raise _too_long(limit)
    return length


def is_body_read(environ: Environ) -> bool:
    """Whether `read_body` has read the whole of it."""
    return bool(environ.get(_BODY_READ))


def _too_long(limit: int) -> VaultError:
    members = {"limit": limit, "limit_name": "body_bytes"}
    return VaultError("too_large", f"The body is longer than {limit} bytes.", members=members)


def _is_chunked(environ: Environ) -> bool:
    return "HTTP_TRANSFER_ENCODING" in environ


def carries_body(environ: Environ) -> bool:
    """Whether the request announces a body."""
    return _is_chunked(environ) or int(environ.get("CONTENT_LENGTH") or "0") > 0


def _check_json_type(environ: Environ) -> None:
    """Raise `VaultError` unless the body is announced as JSON in UTF-8; no body at all is malformed."""
    if not carries_body(environ):
        raise VaultError("malformed", "The request needs a JSON body.")
    kind, *parameters = environ.get("CONTENT_TYPE", "").lower().split(";")
    charsets = [text.strip() for text in parameters if text.strip().startswith("charset")]
    is_json = kind.strip() == JSON_TYPE and all(
        text.replace('"', "") in {"charset=utf-8", "charset=utf8"} for text in charsets
    )
    if not is_json or environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise VaultError("unsupported_media_type", f"The body must be {JSON_TYPE} in UTF-8.")


def refused(error: VaultError) -> Answer:
    """The problem document that tells of `error`, as an answer."""
    document = problem(error)
    headers = [("Content-Type", PROBLEM_TYPE)]
    if document["status"] == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    if document["status"] == 503:
        headers.append(retry_after())
    return Answer(encode_json(document), document["status"], tuple(headers))


def _as_response(answer: Answer) -> Any:
    return bottle.HTTPResponse(answer.body, answer.status, headers=list(answer.headers))


def _refuse_route(error: Any) -> Any:
    """The answer where bottle finds no route, or not for this method."""
    if error.status_code != 405:
        return _as_response(refused(VaultError("not_found", "There is nothing here.")))
    response = _as_response(refused(VaultError("method_not_allowed", "The path takes other methods.")))
    allowed = {name.strip() for name in error.get_header("Allow", "").split(",")}
    response.set_header("Allow", ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))))
    return response


def _tell_methods(methods: list[str], **_: str) -> Any:
    return bottle.HTTPResponse(status=204, headers=[("Allow", ", ".join(methods))])
