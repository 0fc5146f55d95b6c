"""GraphQL over WebSocket: signing in by `connection_init`, and closing the socket when the sign-in ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from graphql import GraphQLError, GraphQLFormattedError
from starlette.websockets import WebSocketDisconnected, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected as ClientLeft
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    ErrorMessage,
    Message,
    SubscribeMessage,
)
from strawberry.types.execution import PreExecutionError

from schema.context import Context
from server.errors import Failure, Throttled
from server.events import AccessChanged
from server.problems import DATABASE_AWAY, is_database_away

FORBIDDEN = 4403
"""the close code on which graphql-ws clients fetch a fresh token and connect again"""
TRY_LATER = 1013
"""the close code after which they connect again by themselves"""
REASON_BYTES = 123
"""what a close frame has room for; the protocol's library crashes on more"""


async def sign_in(context: Context) -> None:
    """Sets the caller of a socket from its `connection_init`, whose key may be written in any letter case."""
    parameters = {str(key).lower(): value for key, value in (context.connection_params or {}).items()}
    authorization = parameters.get("authorization")
    if not isinstance(authorization, str | None):
        raise ConnectionRejectionError
    try:
        context.caller = await context.authenticate(authorization)
    except Failure as failure:
        raise ConnectionRejectionError from failure


class SocketAdapter(ASGIWebSocketAdapter):
    """Closes once, with a reason that fits a frame: reasons quote what the client has sent."""

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is not WebSocketState.DISCONNECTED:
            await super().close(code, reason.encode()[:REASON_BYTES].decode(errors="ignore"))


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """The protocol's own handler, but a malformed message closes the socket instead of crashing, each operation runs
    with what its caller may do now, and the socket closes when the token expires or is revoked."""

    watch: asyncio.Task[None] | None = None

    async def handle_message(self, message: Message) -> None:
        async with self._unless_away():
            if _is_well_formed(message):
                await super().handle_message(message)
            else:
                await self.handle_invalid_message("The message is not one of graphql-transport-ws")

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        await super().handle_connection_init(message)
        if self.connection_acknowledged and self.context.caller is not None and self.watch is None:
            self.watch = asyncio.create_task(self._watch(), name="socket-sign-in")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        if not self.connection_acknowledged or message["id"] in self.operations:
            await super().handle_subscribe(message)  # which closes the socket
            return
        if not await self._still_signed_in():
            return
        try:
            await self._admit(message["payload"])
        except Failure as failure:
            error: GraphQLFormattedError = {"message": str(failure), "extensions": failure.extensions}
            refusal: ErrorMessage = {"id": message["id"], "type": "error", "payload": [error]}
            await self.send_message(refusal)
            return
        self.context.forget()  # what was loaded for an earlier operation may have been changed since
        await super().handle_subscribe(message)

    async def _admit(self, payload: Any) -> None:
        """Puts the document in the place of its hash. Raises a Failure where there is none, or it may not be run."""
        most = self.max_subscriptions_per_connection
        if most is not None and len(self.operations) >= most:
            raise Throttled(f"This socket runs {most} operations, which is the most: complete one of them first.")
        if self.context.documents is not None:
            payload["query"], _ = await self.context.documents.find(payload.get("query"), payload.get("extensions"))

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:  # noqa: ARG004
        """None: a document that is wrong ends its own operation, not the others of the socket."""
        return None

    async def _send_result_stream(self, operation: Operation[Context, None], result_source: Any) -> None:
        try:
            await super()._send_result_stream(operation, _refusal_first(result_source))
        finally:
            self.context.forget()

    async def send_message(self, message: Message) -> None:
        with contextlib.suppress(WebSocketDisconnected, ClientLeft):  # closed meanwhile: nobody is left to hear it
            await super().send_message(message)

    async def shutdown(self) -> None:
        if self.watch is not None:
            self.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch
        await super().shutdown()

    async def _watch(self) -> None:
        """Asks again when someone's rights change, and when the token has expired."""
        async with self._unless_away(), self.context.bus.subscribe(AccessChanged) as changes:
            while True:
                caller = self.context.signed_in
                left = None if caller.expires_at is None else max(0.0, caller.expires_at - time.time())
                change = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):  # wait_for of Python 3.11 forgets a cancellation when one comes
                        change = await changes.get()
                if isinstance(change, AccessChanged) and change.user_id not in (None, caller.user_id):
                    continue
                if self.context.authenticator is not None:  # it hears of the change too, perhaps after us
                    self.context.authenticator.forget(caller.user_id)
                if not await self._still_signed_in():
                    return

    @contextlib.asynccontextmanager
    async def _unless_away(self) -> AsyncIterator[None]:
        try:
            yield
        except (WebSocketDisconnected, ClientLeft):
            return  # closed meanwhile
        except Exception as error:
            if not is_database_away(error):
                raise
            await self.websocket.close(code=TRY_LATER, reason=str(DATABASE_AWAY))

    async def _still_signed_in(self) -> bool:
        try:
            await sign_in(self.context)
        except ConnectionRejectionError:
            await self.websocket.close(code=FORBIDDEN, reason="The sign-in has ended: connect again with a new token")
            return False
        return True


async def _refusal_first(results: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """What could not be executed is an `error` of the protocol, also where it shows after validation: in variables."""
    is_first = True
    async for result in results:
        errors = getattr(result, "errors", None)
        if is_first and errors and result.data is None and not any(error.path for error in errors):
            yield PreExecutionError(data=None, errors=errors)
            return
        is_first = False
        yield result


def _is_well_formed(message: Any) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if message["type"] not in ("subscribe", "complete"):
        return True
    if not isinstance(message.get("id"), str):
        return False
    payload = message.get("payload")
    return message["type"] == "complete" or (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str | None)
        and isinstance(payload.get("extensions"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
        and isinstance(payload.get("variables"), dict | None)
    )
