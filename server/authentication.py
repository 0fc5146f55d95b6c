"""From a bearer token to an Actor: the token is verified, and the database says what its holder may do now."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection

from server.access import repository
from server.access.service import access_tokens, api_tokens, opaque
from server.access.service.grants import known
from server.actor import Actor, Origin, Permission, Scope
from server.database import Database
from server.errors import Unauthenticated
from server.events import AccessChanged, Bus
from server.settings import Settings

CACHED_SECONDS = 5.0
CACHED_CALLERS = 10_000
_NOTE_USE_EVERY = timedelta(minutes=1)
_LONGEST_USER_AGENT = 500


def origin_of(connection: HTTPConnection) -> Origin:
    """Where a request comes from. The address is the socket's: behind a proxy, uvicorn puts the forwarded one there."""
    address = _address(connection.client.host) if connection.client else None
    user_agent = connection.headers.get("user-agent", "")[:_LONGEST_USER_AGENT].replace("\0", "")
    return Origin(address, user_agent or None, connection.scope.get("state", {}).get("request_id"))


@lru_cache(CACHED_CALLERS)
def _address(host: str) -> str | None:
    """As `inet` takes it; None for what is no address, such as the path of a socket."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Access:
    """What the database said about one caller, or why it refused."""

    user_id: UUID
    grants: Mapping[Permission, Scope]
    business_unit_id: UUID | None
    is_superuser: bool = False
    must_change_password: bool = False
    token_id: UUID | None = None
    expires_at: float | None = None
    refusal: str | None = None


class Authenticator:
    """One per process. What it learnt holds for 5 s at most; AccessChanged events make it shorter, never longer."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._cached: OrderedDict[Hashable, tuple[float, _Access]] = OrderedDict()
        self._verified: OrderedDict[bytes, access_tokens.Claims] = OrderedDict()

    async def actor(self, authorization: str | None, origin: Origin) -> Actor | None:
        """The caller of an `Authorization` header; None without one.

        Raises Unauthenticated for one that does not work: a caller who thinks to be signed in is told, not served less.
        """
        if authorization is None:
            return None
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the token as `Authorization: Bearer ...`.")
        if token.startswith(api_tokens.PREFIX):
            return await self._tool(token, origin)
        return await self._person(self._claims(token), origin)

    def _claims(self, token: str) -> access_tokens.Claims:
        """Verified once: a token that was good stays good until it expires, whatever else becomes of its session."""
        key = sha256(token.encode()).digest()
        known = self._verified.get(key)
        if known is not None and known.expires_at > time.time():
            return known
        claims = access_tokens.read(self._settings, token)
        self._verified[key] = claims
        while len(self._verified) > CACHED_CALLERS:
            self._verified.popitem(last=False)
        return claims

    async def _person(self, claims: access_tokens.Claims, origin: Origin) -> Actor:
        key = (claims.user_id, claims.session_id)
        access = self._remembered(key)
        if access is None:
            asked = self._clock()
            async with self._database.reads.session() as session:
                row = await repository.session_access(session, claims.user_id, claims.session_id)
            access = self._remember(key, asked, _of_session(claims, row))
        if access.refusal:
            raise Unauthenticated(access.refusal)
        return Actor(
            user_id=access.user_id,
            grants=access.grants,
            business_unit_id=access.business_unit_id,
            is_superuser=access.is_superuser,
            session_id=claims.session_id,
            must_change_password=access.must_change_password,
            expires_at=claims.expires_at,
            origin=origin,
        )

    async def _tool(self, token: str, origin: Origin) -> Actor:
        key = opaque.hashed(token)
        access = self._remembered(key)
        if access is None:
            asked = self._clock()
            async with self._database.reads.session() as session:
                row = await repository.token_access(session, key)
            if row is None:  # not remembered: made-up tokens must not push real callers out
                raise Unauthenticated("There is no such API token.")
            access = self._remember(key, asked, _of_token(row))
            if access.refusal is None and _use_is_stale(row.last_used_at):
                await self._note_use(row.token_id)
        if access.refusal:
            raise Unauthenticated(access.refusal)
        if access.expires_at is not None and access.expires_at <= time.time():
            raise Unauthenticated("This API token has expired.")
        return Actor(
            user_id=access.user_id,
            grants=access.grants,
            business_unit_id=access.business_unit_id,
            token_id=access.token_id,
            expires_at=access.expires_at,
            origin=origin,
        )

    async def _note_use(self, token_id: UUID) -> None:
        async with self._database.transaction(Actor(None)) as tx:
            await repository.note_use(tx.session, token_id)

    def _remembered(self, key: Hashable) -> _Access | None:
        found = self._cached.get(key)
        if found is None or self._clock() - found[0] >= CACHED_SECONDS:
            return None
        return found[1]

    def _remember(self, key: Hashable, asked: float, access: _Access) -> _Access:
        """Counted from before the question was asked: the answer may have been old when it came."""
        self._cached.pop(key, None)
        self._cached[key] = (asked, access)
        while len(self._cached) > CACHED_CALLERS:
            self._cached.popitem(last=False)
        return access

    def forget(self, user_id: UUID | None = None) -> None:
        """Ask the database again about this user; about everyone without one."""
        if user_id is None:
            self._cached.clear()
            return
        for key in [key for key, (_, access) in self._cached.items() if access.user_id == user_id]:
            del self._cached[key]

    async def forget_on(self, bus: Bus) -> None:
        """Runs as long as the process, as a task: forgets whom AccessChanged names, and all when events were lost."""
        async with bus.subscribe(AccessChanged) as changes:
            while True:
                change = await changes.get()
                self.forget(change.user_id if isinstance(change, AccessChanged) else None)


def _of_session(claims: access_tokens.Claims, row: Any) -> _Access:
    if row is None:
        return _Access(claims.user_id, {}, None, refusal="The account of this access token does not exist any more.")
    refusal = None
    if not row.is_active or row.is_service:
        refusal = "This account cannot sign in any more."
    elif not row.alive:
        refusal = "This session has ended: sign in again."
    return _Access(
        user_id=row.user_id,
        grants=known(row.grants),
        business_unit_id=row.business_unit_id,
        is_superuser=row.is_superuser,
        must_change_password=row.must_change_password,
        refusal=refusal,
    )


def _of_token(row: Any) -> _Access:
    """A token acts within its scopes: these alone decide with the role `integration`, else the user's roles do too.

    Never as a superuser, whatever the service user is: a token without a scope for it cannot do it.
    """
    refusal = None
    if row.revoked_at is not None:
        refusal = "This API token was revoked."
    elif row.expires_at <= datetime.now(UTC):
        refusal = "This API token has expired."
    elif not row.is_active or not row.is_service:
        refusal = "The service user of this API token is not active."
    scopes = known(dict.fromkeys(row.scopes, Scope.ALL))
    held = known(row.grants)
    return _Access(
        user_id=row.user_id,
        grants=scopes if row.is_integration else {scope: held[scope] for scope in scopes if scope in held},
        business_unit_id=row.business_unit_id,
        token_id=row.token_id,
        expires_at=row.expires_at.timestamp(),
        refusal=refusal,
    )


def _use_is_stale(last_used_at: datetime | None) -> bool:
    return last_used_at is None or datetime.now(UTC) - last_used_at > _NOTE_USE_EVERY
