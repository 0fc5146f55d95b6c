"""GraphQL over HTTP: who is calling, which status an answer has, and how errors look outside a result."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLRequestData, process_result
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types import ExecutionResult

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
PREFLIGHTED = {"graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name"}


@dataclass
class RequestData(GraphQLRequestData):
    new_document: NewDocument | None = None


class _MutationByGet(Exception):
    pass


class _RequestAdapter(StarletteRequestAdapter):
    @property
    def documents(self) -> PersistedDocuments:
        documents: PersistedDocuments = self._request.app.state.documents
        return documents


class GraphQLView(GraphQL[Context, None]):
    """Strawberry's view with our caller, context, JSON and status codes."""

    graphql_transport_ws_handler_class = SocketHandler
    request_adapter_class = _RequestAdapter
    websocket_adapter_class = SocketAdapter

    def __init__(
        self, schema: strawberry.Schema, settings: Settings, *, connection_init_wait_timeout: timedelta = INIT_TIMEOUT
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
        except _MutationByGet:
            return _refusal(
                request, _not_allowed("Send mutations by POST: by GET, only queries are run."), allow="POST"
            )
        except Failure as failure:
            return _refusal(request, failure.problem, failure.retry_after)
        except HTTPException as error:
            return _refusal(request, _bad_request(error.reason, error.status_code))

    async def _run(self, request: Request) -> Response:
        """What Strawberry's `run` does of a request, without asking what ours never is: a page, a batch, a socket."""
        adapter, sub_response = _RequestAdapter(request), await self.get_sub_response(request)
        context = await self.get_context(request, sub_response)
        data = await self.parse_http_body(adapter)
        result: Any = await self.execute_operation(request, adapter, data, context, None, sub_response)
        if not isinstance(result, AsyncGenerator):
            return self.create_response(process_result(result), sub_response)
        stream: Any = result
        return await self._create_streaming_response(request, stream, data.protocol, sub_response)

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> RequestData:
        """Ours, because Strawberry's takes any object for a request, so that `null` or `[]` would be a crash."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if request.method == "GET":
            data = self._from_address(request)
        elif kind != JSON:
            raise HTTPException(415, "Send the operation as application/json.")
        else:
            data = self.parse_json(await request.get_body())
        if not isinstance(data, dict):
            raise HTTPException(400, "The body must be one JSON object with `query`.")
        for name, kinds in (("query", str), ("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(data.get(name), kinds | None):
                wanted = "a string" if kinds is str else "an object"
                raise HTTPException(400, f"`{name}` must be {wanted}.")
        query, new_document = await _documents(request).find(data.get("query"), data.get("extensions"))
        accepted = request.headers.get("accept") or ""
        is_plain = "text/event-stream" not in accepted and "multipart" not in accepted
        transport = None if is_plain else self._get_stream_transport_from_headers(request.headers)
        return RequestData(
            query=query,
            new_document=new_document,
            variables=data.get("variables"),
            operation_name=data.get("operationName"),
            extensions=data.get("extensions"),
            protocol=transport.protocol if transport else "http",
        )

    def _from_address(self, request: AsyncHTTPRequestAdapter) -> object:
        """A GET's parameters. Another site can make a browser send one, so it names a document that is known already,
        or has a header that such a site cannot send without asking first."""
        data: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if data.get(name):
                data[name] = self.parse_json(data[name])
        headers = {name.lower() for name in request.headers}
        if data.get("query") and not headers & PREFLIGHTED:
            raise BadRequest(
                "By GET, name a persisted query by its hash, or send the header GraphQL-Require-Preflight."
            )
        return data

    async def execute_operation(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData | list[GraphQLRequestData],
        context: Context,
        root_value: None,
        sub_response: Response,
    ) -> Any:
        """For as long as the client stays. Of a stream the first result is awaited before a status is sent, so that a
        refusal can have its own: each of our subscriptions begins with one."""
        with UntilClientLeaves(request):
            result = await super().execute_operation(
                request, request_adapter, request_data, context, root_value, sub_response
            )
            if not isinstance(result, AsyncGenerator):
                return result
            first = await anext(result)
        assert isinstance(request_data, GraphQLRequestData)
        status = refused_with(first)
        # GraphQL over SSE has what is wrong with a document told by an event; of anything else it says nothing.
        if status is None or (status == BadRequest.status and request_data.protocol == "sse"):
            return from_first(first, result)
        await result.aclose()
        sub_response.status_code = status
        return first

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,
        context: Context,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        try:
            result = await super().execute_single(
                request, request_adapter, sub_response, context, root_value, request_data
            )
        except HTTPException as error:
            if isinstance(error.__cause__, InvalidOperationTypeError) and request.method == "GET":
                raise _MutationByGet from error
            raise
        new_document = request_data.new_document if isinstance(request_data, RequestData) else None
        if context.documents is not None and new_document is not None and _was_run(result):
            await context.documents.keep(new_document)
        return result

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Text, since graphql-transport-ws takes no binary frames."""
        return orjson.dumps(data).decode()

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        state = request.app.state
        context = Context(
            database=state.database,
            settings=self.settings,
            bus=state.bus,
            caller=None,
            origin=origin_of(request),
            authenticator=state.authenticator,
            request_id=request.state.request_id,
            rate_limit=state.rate_limit,
            documents=state.documents,
        )
        if isinstance(request, Request):
            context.caller = await context.authenticate(request.headers.get("authorization"))
            assert isinstance(response, Response)
            response.headers.update({"content-type": _media_type(request), "cache-control": "no-store"})
            context.headers = response.headers
            context.kept_responses = state.kept_responses
            context.idempotency_key = request.headers.get("idempotency-key")
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        await sign_in(context)
        return strawberry.UNSET

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        """200, also for `data: null`; but in the specification's own media type a request that could not be executed
        says so by its status, as it does in its errors, which have no path. A limit does so in both, and so does what
        failed whole for a reason that passes: what stands between us and the client knows what to do with them."""
        status = sub_response.status_code or 200
        errors = response_data.get("errors") or []
        if response_data.get("data") is None and errors:
            members = errors[0].get("extensions", {})
            is_limit = members.get("code") in LIMITS
            if all(error.get("extensions", {}).get("status") in PASSING for error in errors):
                status = members["status"]
            if not any("path" in error for error in errors):
                response_data.pop("data", None)
                if not is_limit:
                    response_data.pop("extensions", None)  # nothing was run that could have a cost
                if is_limit or sub_response.headers["content-type"].startswith(GRAPHQL_RESPONSE):
                    status = members.get("status", 400)
            if "retryAfter" in members:
                sub_response.headers["retry-after"] = str(members["retryAfter"])
        return Response(orjson.dumps(response_data), status, headers=sub_response.headers)

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


def _media_type(request: Request) -> str:
    accepted = request.headers.get("accept", "")
    return f"{GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in accepted else JSON}; charset=utf-8"


def _bad_request(reason: str, status: int) -> Problem:
    code = {415: "UNSUPPORTED_MEDIA_TYPE"}.get(status, BadRequest.code)
    return Problem(code, BadRequest.title, status, reason)


def _documents(request: AsyncHTTPRequestAdapter) -> PersistedDocuments:
    assert isinstance(request, _RequestAdapter)
    return request.documents


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
