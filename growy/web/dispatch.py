"""A request with its body -> an answer: finds the endpoint, validates, calls the handler, and turns every
error into the one shape. Knows no sockets. Nothing but a Response may leave it.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter

import attrs
import trio

from growy.model.errors import GrowyError
from growy.model.people import Caller, Peer
from growy.ops.log import get_log
from growy.web.answers import Response, error_answer, internal_error
from growy.web.app import App
from growy.web.cors import options
from growy.web.gate import Admission
from growy.web.inputs import body_of, form_of, query_of
from growy.web.negotiated import finished
from growy.web.router import Call, Endpoint, Match, Router

log = get_log(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}")


@attrs.frozen(slots=True)
class Request:
    """The head of a request: `path` and `query` as sent (still percent-encoded)."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    """Lower-case names; of a repeated header the last."""
    request_id: str
    peer: Peer


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The client's X-Request-ID when it is harmless to log and to echo, else a new one."""
    theirs = headers.get(b"x-request-id")
    if theirs is not None and _REQUEST_ID.fullmatch(theirs):
        return theirs.decode()
    return secrets.token_hex(8)


@attrs.define
class DispatchCounts:
    requests: int = 0
    errors: Counter[str] = attrs.field(factory=Counter)
    """Answers that were errors, by code."""
    faults: int = 0
    """Handlers that failed in a way nobody foresaw: each is in the log with its request id."""


AT_ONCE = 4096
"""Bytes of a body that are read without a thread: CBOR takes up to 2 us for each on a PC, 8 on a Pi."""


async def _body(body: bytes, endpoint: Endpoint, request: Request) -> object:
    """What was sent, as the endpoint's model. Raises Invalid."""
    assert endpoint.body is not None
    if endpoint.form:
        return form_of(body, endpoint.body)
    content_type = request.headers.get(b"content-type", b"")
    if len(body) > AT_ONCE:
        return await trio.to_thread.run_sync(body_of, body, endpoint.body, content_type)
    return body_of(body, endpoint.body, content_type)


async def begun(reply: Response) -> Response:
    """The answer with the first piece of its stream already made: what fails until then is still an error like any
    other."""
    assert reply.stream is not None
    return attrs.evolve(reply, body=await anext(reply.stream, b""))


class Dispatcher:
    """Routes and answers requests for one App."""

    def __init__(self, app: App, router: Router) -> None:
        self.app = app
        self.router = router
        self.counts = DispatchCounts()

    def find(self, request: Request) -> Match | Response:
        """The endpoint, or the error answer; before the body is read, so that nobody uploads to nowhere."""
        try:
            return self.router.find(request.method, request.path)
        except GrowyError as error:
            return self.refuse(error, request.request_id)

    def admit(self, request: Request, match: Match) -> Admission:
        """Raises Unauthorized, AccessDenied; before the body is read, so that strangers cannot upload."""
        return self.app.gate.admit(match.endpoint, request.headers, request.query, request.peer)

    async def answer(self, request: Request, match: Match, caller: Caller, body: bytes) -> Response:
        """Cancellation passes through; everything else becomes an answer."""
        self.counts.requests += 1
        endpoint = match.endpoint
        assert endpoint.handler is not None  # WebSockets never come here: the connection serves them
        try:
            inputs: list[object] = []
            if endpoint.query is not None:
                inputs.append(query_of(request.query, endpoint.query))
            if endpoint.body is not None:
                inputs.append(await _body(body, endpoint, request))
            call = Call(self.app, request.request_id, match.parameters, caller, request.peer, request.headers)
            reply = await endpoint.handler(call, *inputs)
            return reply if reply.stream is None else await begun(reply)
        except GrowyError as error:
            return self.refuse(error, request.request_id)
        except Exception as error:  # noqa: BLE001 - the border: a fault costs one request
            return self._fault(error, endpoint.method, endpoint.path, request.request_id)

    async def finish(
        self, reply: Response, method: str, headers: dict[bytes, bytes], request_id: str
    ) -> Response:
        """The answer as this client is to get it; the same border as of `answer`."""
        try:
            return await finished(reply, method, headers)
        except Exception as error:  # noqa: BLE001 - the border
            return self._fault(error, method, "", request_id)

    def _fault(self, error: Exception, method: str, path: str, request_id: str) -> Response:
        """Counted and logged; the client learns the id under which."""
        self.counts.faults += 1
        self.counts.errors["INTERNAL_ERROR"] += 1
        log.error("request failed", exc_info=error, method=method, path=path, request_id=request_id)
        return internal_error(request_id)

    def broke_off(self, error: Exception, request: Request) -> None:
        """A stream has failed after its answer had begun: nothing but the log and the figures can tell why."""
        code = error.code if isinstance(error, GrowyError) else "INTERNAL_ERROR"
        self.counts.errors[code] += 1
        self.counts.faults += not isinstance(error, GrowyError)
        log.error(
            "answer broken off",
            exc_info=error,
            method=request.method,
            path=request.path[:200],
            request_id=request.request_id,
        )

    def options(self, request: Request) -> Response:
        """What can be done at a path, and a browser's question whether a page may."""
        try:
            methods = ("GET", "HEAD", "OPTIONS") if request.path == "*" else self.router.methods(request.path)
        except GrowyError as error:
            return self.refuse(error, request.request_id)
        return options(methods, request.headers)

    def refuse(self, error: GrowyError, request_id: str) -> Response:
        """An error as an answer, counted by its code."""
        self.counts.errors[error.code] += 1
        return error_answer(error, request_id)
