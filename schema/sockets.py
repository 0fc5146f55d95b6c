"""GraphQL over WebSocket: signing in by `connection_init`, and closing the socket when the sign-in ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from graphql import GraphQLFormattedError
from starlette.websockets import WebSocketDisconnected
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    ErrorMessage,
    Message,
    SubscribeMessage,
)

from schema.context import Context
from server.errors import Failure
from server.events import AccessChanged
from server.problems import DATABASE_AWAY, is_database_away

FORBIDDEN = 4403
"""the close code on which graphql-ws clients fetch a fresh token and connect again"""
TRY_LATER = 1013
"""the close code after which they connect again by themselves"""


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
        if self.connection_acknowledged and not (await self._still_signed_in() and await self._finds_document(message)):
            return
        await super().handle_subscribe(message)

    async def _finds_document(self, message: SubscribeMessage) -> bool:
        """Puts the document in the place of its hash; an `error` where there is none, or it may not be run."""
        payload: Any = message["payload"]
        documents = self.context.documents
        if documents is None:
            return True
        try:
            payload["query"], _ = await documents.find(payload.get("query"), payload.get("extensions"))
        except Failure as failure:
            error: GraphQLFormattedError = {"message": str(failure), "extensions": failure.extensions}
            refusal: ErrorMessage = {"id": message["id"], "type": "error", "payload": [error]}
            await self.send_message(refusal)
            return False
        return True

    async def send_message(self, message: Message) -> None:
        with contextlib.suppress(WebSocketDisconnected):  # closed meanwhile: nobody is left to hear it
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
                    change = await asyncio.wait_for(changes.get(), left)
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
        except WebSocketDisconnected:
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
