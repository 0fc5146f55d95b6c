"""GraphQL over HTTP: who is calling, which status an answer has, and how errors look outside a result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import strawberry
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.streaming import HTTPStreamTransport
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from schema import Schema
from schema.context import Context
from schema.deadline import TimeLimit
from schema.leaving import UntilClientLeaves
from schema.persisted import NewDocument, PersistedDocuments, PersistedQueryNotFound
from schema.response_cache import revalidated
from schema.sockets import SocketAdapter, SocketHandler, sign_in
from schema.streams import from_first, refused_with
from server import graphiql
from server.authentication import origin_of
from server.errors import BadRequest, Failure, Problem, Throttled, TimedOut, TooCostly, Unavailable
from server.observability import SOCKETS
from server.settings import Settings

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
INIT_TIMEOUT = timedelta(seconds=10)
SPARE_SECONDS = 1
"""beyond the deadline of the operation, for what comes before it: the body may arrive slowly, the sign-in may wait"""
MOST_OPERATIONS = 100
"""that one socket runs at a time"""
LIMITS = {TooCostly.code, Throttled.code}
PASSING = {Unavailable.status, TimedOut.status}
ALLOWED = {method: OperationType.from_http(method) for method in ("GET", "POST")}
PREFLIGHTED = {"graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    text: str
    new_document: NewDocument | None
    variables: dict[str, Any] | None
    name: str | None
    extensions: dict[str, Any] | None
    transport: HTTPStreamTransport | None
    """for events; None for one answer"""


class GraphQLView(GraphQL[Context, None]):
    """Strawberry's view for sockets and streams; a request that wants one answer is read, run and answered here."""

    graphql_transport_ws_handler_class = SocketHandler
    websocket_adapter_class = SocketAdapter
    schema: Schema

    def __init__(
        self, schema: Schema, settings: Settings, *, connection_init_wait_timeout: timedelta = INIT_TIMEOUT
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=True,
            subscription_protocols=(
                GRAPHQL_TRANSPORT_WS_PROTOCOL,
                GRAPHQL_SSE_PROTOCOL,
                MULTIPART_SUBSCRIPTION_PROTOCOL,
            ),
            connection_init_wait_timeout=connection_init_wait_timeout,
            max_subscriptions_per_connection=MOST_OPERATIONS,
            allowed_origins=settings.cors_origins,
        )
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with SOCKETS.track_inprogress():
                await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        accepts_page = "text/html" in request.headers.get("accept", "")
        if request.method in ("GET", "HEAD") and accepts_page:
            return graphiql.page(request)
        if request.method != "POST" and not (request.method == "GET" and request.url.query):
            return _refusal(request, _not_allowed("Send operations by POST; a browser gets GraphiQL here by GET."))
        try:
            with TimeLimit(self.settings.request_seconds + SPARE_SECONDS, "The request or its sign-in took too long."):
                return revalidated(request, await self._run(request))
        except Failure as failure:
            return _refusal(request, failure.problem, failure.retry_after)
        except HTTPException as error:
            return _refusal(request, _bad_request(error.reason, error.status_code))
        except CannotGetOperationTypeError as error:
            return _refusal(request, _bad_request(error.as_http_error_reason(), BadRequest.status))
        except InvalidOperationTypeError as error:
            if request.method == "GET":
                detail = "Send mutations by POST: by GET, only queries are run."
                return _refusal(request, _not_allowed(detail), allow="POST")
            return _refusal(request, _bad_request(error.as_http_error_reason("POST"), BadRequest.status))

    async def _run(self, request: Request) -> Response:
        context = self._context(request)
        context.caller = await context.authenticate(request.headers.get("authorization"))
        context.headers |= {"content-type": _media_type(request), "cache-control": "no-store"}
        context.kept_responses = request.app.state.kept_responses
        context.idempotency_key = request.headers.get("idempotency-key")
        asked = await self._asked(request)
        if asked.transport is not None:
            return await self._streamed(request, context, asked, asked.transport)
        with UntilClientLeaves(request):
            result = await self.schema.execute(
                asked.text,
                asked.variables,
                context,
                operation_name=asked.name,
                allowed_operation_types=ALLOWED[request.method],
                operation_extensions=asked.extensions,
            )
        if context.documents is not None and asked.new_document is not None and _was_run(result):
            await context.documents.keep(asked.new_document)
        return _response(result, context.headers)

    async def _streamed(
        self, request: Request, context: Context, asked: Asked, transport: HTTPStreamTransport
    ) -> Response:
        """The first result is awaited before a status is sent, so that a refusal can have its own: each of our
        subscriptions begins with one."""
        results = await self.schema.stream(
            asked.text,
            asked.variables,
            context,
            operation_name=asked.name,
            operation_extensions=asked.extensions,
            allowed_operation_types=transport.allowed_operation_types(ALLOWED[request.method]),
        )
        with UntilClientLeaves(request):
            first = await anext(results)
        status = refused_with(first)
        # GraphQL over SSE has what is wrong with a document told by an event; of anything else it says nothing.
        if status is None or (status == BadRequest.status and transport.protocol == "sse"):
            stream: Any = from_first(first, results)
            sub_response = await self.get_sub_response(request)
            sub_response.headers.update(context.headers)
            return await self._create_streaming_response(request, stream, transport.protocol, sub_response)
        await results.aclose()
        return _response(first, context.headers, status)

    async def _asked(self, request: Request) -> Asked:
        """Ours, because Strawberry's takes any object for a request, so that `null` or `[]` would be a crash."""
        headers = request.headers
        if request.method == "GET":
            data = self._from_address(request)
        elif headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise HTTPException(415, "Send the operation as application/json.")
        else:
            data = self.parse_json(await request.body())
        if not isinstance(data, dict):
            raise HTTPException(400, "The body must be one JSON object with `query`.")
        query, name, variables, extensions = map(data.get, ("query", "operationName", "variables", "extensions"))
        for what, value, kinds in (
            ("query", query, str),
            ("operationName", name, str),
            ("variables", variables, dict),
            ("extensions", extensions, dict),
        ):
            if value is not None and not isinstance(value, kinds):
                raise HTTPException(400, f"`{what}` must be {'a string' if kinds is str else 'an object'}.")
        documents: PersistedDocuments = request.app.state.documents
        text, new_document = await documents.find(query, extensions)
        accepted = headers.get("accept", "")
        is_plain = "text/event-stream" not in accepted and "multipart" not in accepted
        transport = None if is_plain else self._get_stream_transport_from_headers(headers)
        return Asked(text, new_document, variables, name, extensions, transport)

    def _from_address(self, request: Request) -> object:
        """A GET's parameters. Another site can make a browser send one, so it names a document that is known already,
        or has a header that such a site cannot send without asking first."""
        data: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if data.get(name):
                data[name] = self.parse_json(data[name])
        if data.get("query") and PREFLIGHTED.isdisjoint(request.headers.keys()):
            raise BadRequest(
                "By GET, name a persisted query by its hash, or send the header GraphQL-Require-Preflight."
            )
        return data

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Text, since graphql-transport-ws takes no binary frames."""
        return orjson.dumps(data).decode()

    def _context(self, connection: Request | WebSocket) -> Context:
        state = connection.app.state
        return Context(
            database=state.database,
            settings=self.settings,
            bus=state.bus,
            caller=None,
            origin=origin_of(connection),
            authenticator=state.authenticator,
            request_id=connection.state.request_id,
            rate_limit=state.rate_limit,
            documents=state.documents,
        )

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        return self._context(request)

    async def on_ws_connect(self, context: Context) -> Any:
        await sign_in(context)
        return strawberry.UNSET

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        """The transport's headers replace ours: in a dict, `Content-Type` and `content-type` would both be sent."""
        sub_response.headers.update(headers)
        return await super().create_streaming_response(request, stream, sub_response, {})


def _response(result: ExecutionResult, headers: dict[str, str], status: int = 200) -> Response:
    """200, also for `data: null`; but in the specification's own media type a request that could not be executed says
    so by its status, as it does in its errors, which have no path. A limit does so in both, and so does what failed
    whole for a reason that passes: what stands between us and the client knows what to do with them."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        body["extensions"] = result.extensions
    if result.data is None and result.errors:
        status = _status_of_failure(body, headers, status)
    return Response(orjson.dumps(body), status, headers)


def _status_of_failure(body: dict[str, Any], headers: dict[str, str], status: int) -> int:
    """Also takes out of the body what has no place in it then."""
    errors = body["errors"]
    members = errors[0].get("extensions", {})
    is_limit = members.get("code") in LIMITS
    if all(error.get("extensions", {}).get("status") in PASSING for error in errors):
        status = members["status"]
    if not any("path" in error for error in errors):
        del body["data"]
        if not is_limit:
            body.pop("extensions", None)  # nothing was run that could have a cost
        if is_limit or headers["content-type"].startswith(GRAPHQL_RESPONSE):
            status = members.get("status", 400)
    if "retryAfter" in members:
        headers["retry-after"] = str(members["retryAfter"])
    return status


def _media_type(request: Request) -> str:
    accepted = request.headers.get("accept", "")
    return f"{GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in accepted else JSON}; charset=utf-8"


def _bad_request(reason: str, status: int) -> Problem:
    code = {415: "UNSUPPORTED_MEDIA_TYPE"}.get(status, BadRequest.code)
    return Problem(code, BadRequest.title, status, reason)


def _was_run(result: ExecutionResult) -> bool:
    return result.data is not None or any(error.path for error in result.errors or ())


def _not_allowed(detail: str) -> Problem:
    return Problem("METHOD_NOT_ALLOWED", "Method not allowed", 405, detail)


def _refusal(
    request: Request, problem: Problem, retry_after: int | None = None, *, allow: str = "GET, POST"
) -> Response:
    """An error before anything could be executed, in the shape of a GraphQL result."""
    members = {**problem.members(), "instance": f"urn:request:{request.state.request_id}"}
    headers = {"content-type": _media_type(request), "cache-control": "no-store"}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.status == 405:
        headers["allow"] = allow
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    body = orjson.dumps({"errors": [{"message": problem.detail, "extensions": members}]})
    # Apollo's clients look for this one in a result, which in this media type has status 200.
    lacks_document = problem.code == PersistedQueryNotFound.code and headers["content-type"].startswith(JSON)
    return Response(body, 200 if lacks_document else problem.status, headers=headers)
