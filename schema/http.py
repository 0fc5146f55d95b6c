"""GraphQL over HTTP and WebSocket: who is calling, which status an answer has, and how errors look outside a result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import strawberry
from cross_web import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)

from schema.context import Context
from server import graphiql
from server.actor import Origin
from server.errors import BadRequest, Failure, Problem, Unauthenticated
from server.observability import SOCKETS
from server.settings import Settings

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"


def origin_of(connection: HTTPConnection) -> Origin:
    """Address, user agent and request id of a call, for the audit log."""
    return Origin(
        address=connection.client.host if connection.client else None,
        user_agent=(connection.headers.get("user-agent") or "")[:300] or None,
        request_id=getattr(connection.state, "request_id", None),
    )


class GraphQLView(GraphQL[Context, None]):
    """Strawberry's view with our caller, context, JSON encoder and status codes."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(
                GRAPHQL_TRANSPORT_WS_PROTOCOL,
                GRAPHQL_SSE_PROTOCOL,
                MULTIPART_SUBSCRIPTION_PROTOCOL,
            ),
            connection_init_wait_timeout=timedelta(seconds=10),
            allowed_origins=settings.cors_origins,
        )
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            SOCKETS.inc()
            try:
                await super().__call__(scope, receive, send)
            finally:
                SOCKETS.dec()
            return
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return graphiql.page(request)
        try:
            return await self.run(request)
        except Failure as failure:
            return self._refusal(request, failure.problem, failure.retry_after)
        except HTTPException as error:
            status = 415 if error.reason == "Unsupported content type" else error.status_code
            return self._refusal(request, Problem("BAD_REQUEST", BadRequest.title, status, error.reason))

    def _refusal(self, request: Request, problem: Problem, retry_after: int | None = None) -> Response:
        """An error before anything could be executed, in the shape of a GraphQL result."""
        members = {**problem.members(), "instance": f"urn:request:{request.state.request_id}"}
        response = self._json({"errors": [{"message": problem.detail, "extensions": members}]}, problem.status)
        response.headers["content-type"] = self._media_type(request)
        if problem.status == 401:
            response.headers["www-authenticate"] = "Bearer"
        if problem.status == 405:
            response.headers["allow"] = "POST"
        if retry_after is not None:
            response.headers["retry-after"] = str(retry_after)
        return response

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
            response.headers["content-type"] = self._media_type(request)
            response.headers["cache-control"] = "no-store"
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        parameters = {str(key).lower(): value for key, value in (context.connection_params or {}).items()}
        authorization = parameters.get("authorization")
        if authorization is not None and not isinstance(authorization, str):
            raise ConnectionRejectionError
        try:
            context.caller = await context.authenticate(authorization)
        except Unauthenticated as error:
            raise ConnectionRejectionError from error
        return strawberry.UNSET

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        """200, but for the media type of the GraphQL specification, where a result without data says why by status."""
        status = 200
        if sub_response.headers["content-type"].startswith(GRAPHQL_RESPONSE) and response_data.get("data") is None:
            first = (response_data.get("errors") or [{}])[0]
            status = first.get("extensions", {}).get("status", 400)
            if "path" not in first:
                response_data.pop("data", None)  # nothing was executed
        response = self._json(response_data, status)
        response.headers.update(dict(sub_response.headers))
        return response

    @staticmethod
    def _json(data: Any, status: int) -> Response:
        return Response(orjson.dumps(data), status, headers={"cache-control": "no-store"})

    @staticmethod
    def _media_type(request: Request) -> str:
        accepted = request.headers.get("accept", "")
        return f"{GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in accepted else JSON}; charset=utf-8"
