"""GraphQL over HTTP: who is calling, which status an answer has, and how errors look outside a result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLRequestData
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)

from schema.context import Context
from schema.sockets import SocketHandler, sign_in
from server import graphiql
from server.authentication import origin_of
from server.errors import BadRequest, Failure, Problem
from server.observability import SOCKETS
from server.settings import Settings

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
INIT_TIMEOUT = timedelta(seconds=10)


class GraphQLView(GraphQL[Context, None]):
    """Strawberry's view with our caller, context, JSON and status codes."""

    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self, schema: strawberry.Schema, settings: Settings, *, connection_init_wait_timeout: timedelta = INIT_TIMEOUT
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(
                GRAPHQL_TRANSPORT_WS_PROTOCOL,
                GRAPHQL_SSE_PROTOCOL,
                MULTIPART_SUBSCRIPTION_PROTOCOL,
            ),
            connection_init_wait_timeout=connection_init_wait_timeout,
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
        if request.method != "POST":
            detail = "Send operations by POST; a browser gets GraphiQL here by GET."
            return _refusal(request, Problem("METHOD_NOT_ALLOWED", "Method not allowed", 405, detail))
        try:
            return await self.run(request)
        except Failure as failure:
            return _refusal(request, failure.problem, failure.retry_after)
        except HTTPException as error:
            return _refusal(request, _bad_request(error.reason, error.status_code))

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Ours, because Strawberry's takes any object for a request, so that `null` or `[]` would be a crash."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise HTTPException(415, "Send the operation as application/json.")
        data = self.parse_json(await request.get_body())
        if not isinstance(data, dict):
            raise HTTPException(400, "The body must be one JSON object with `query`.")
        for name, kinds in (("query", str), ("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(data.get(name), kinds | None):
                wanted = "a string" if kinds is str else "an object"
                raise HTTPException(400, f"`{name}` must be {wanted}.")
        if not data.get("query"):
            raise HTTPException(400, "`query` is missing: send the document as a string.")
        transport = self._get_stream_transport_from_headers(request.headers)
        return GraphQLRequestData(
            query=data["query"],
            variables=data.get("variables"),
            operation_name=data.get("operationName"),
            extensions=data.get("extensions"),
            protocol=transport.protocol if transport else "http",
        )

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
        )
        if isinstance(request, Request):
            context.caller = await context.authenticate(request.headers.get("authorization"))
            assert isinstance(response, Response)
            response.headers.update({"content-type": _media_type(request), "cache-control": "no-store"})
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        await sign_in(context)
        return strawberry.UNSET

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        """200, also for `data: null`; but in the specification's own media type a request that could not be executed
        says so by its status, as it does in its errors, which have no path."""
        status = 200
        errors = response_data.get("errors") or []
        if response_data.get("data") is None and errors and not any("path" in error for error in errors):
            response_data.pop("data", None)
            if sub_response.headers["content-type"].startswith(GRAPHQL_RESPONSE):
                status = errors[0].get("extensions", {}).get("status", 400)
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


def _refusal(request: Request, problem: Problem, retry_after: int | None = None) -> Response:
    """An error before anything could be executed, in the shape of a GraphQL result."""
    members = {**problem.members(), "instance": f"urn:request:{request.state.request_id}"}
    headers = {"content-type": _media_type(request), "cache-control": "no-store"}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.status == 405:
        headers["allow"] = "GET, POST"
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    body = orjson.dumps({"errors": [{"message": problem.detail, "extensions": members}]})
    return Response(body, problem.status, headers=headers)
