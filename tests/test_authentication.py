"""From a bearer token to an Actor: which tokens work, what their holder may do, and how fast a change acts."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from sqlalchemy import select
from starlette.requests import HTTPConnection

from server.access import service as access
from server.access.models import ApiTokenRow, RoleRow
from server.access.service import access_tokens
from server.actor import Actor, Origin, Permission, Scope
from server.authentication import Authenticator, origin_of
from server.database import Database
from server.errors import Unauthenticated
from server.events import AccessChanged, Bus
from server.ids import new_id
from server.settings import Settings
from tests.access.people import HERE, PASSWORD, give, person, run
from tests.conftest import Statements
from tests.factories import Factory, admin


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(database: Database, settings: Settings, clock: Clock) -> Authenticator:
    return Authenticator(database, settings, clock)


@pytest.fixture
async def session(database: Database, settings: Settings, make: Factory) -> access.Session:
    await person(make)
    return await access.login(database, settings, "ada@example.test", PASSWORD, HERE)


async def refusal(authenticator: Authenticator, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.actor(f"Bearer {token}", HERE)
    return caught.value.detail


def signed(settings: Settings, token: str, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """The token with other claims or headers, signed with our key; a claim of None is left out."""
    [(key_id, secret)] = settings.signing_keys.items()
    given = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, secret, "HS256", headers={"kid": key_id, **(headers or {})})


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, ""])


async def test_an_access_token_names_its_user_session_and_end(
    authenticator: Authenticator, settings: Settings, session: access.Session
) -> None:
    before = time.time()
    actor = await authenticator.actor(f"bearer  {session.access_token} ", HERE)
    assert actor is not None
    claims = access_tokens.read(settings, session.access_token)
    assert (actor.user_id, actor.session_id, actor.origin) == (session.user.id, claims.session_id, HERE)
    assert actor.expires_at is not None
    assert 1790 < actor.expires_at - before <= 1801
    header = jwt.get_unverified_header(session.access_token)
    assert header == {"alg": "HS256", "typ": "JWT", "kid": "test"}


async def test_without_a_header_the_caller_is_anonymous(authenticator: Authenticator) -> None:
    assert await authenticator.actor(None, HERE) is None


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c", "Bearer " + "x" * 100_000, "Bearer é"]
)
async def test_a_header_that_does_not_work_is_refused_not_ignored(authenticator: Authenticator, header: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator.actor(header, HERE)


async def test_the_same_claims_signed_again_are_accepted(
    authenticator: Authenticator, settings: Settings, session: access.Session
) -> None:
    """So that the refusals below are for what each of them changes."""
    assert await authenticator.actor(f"Bearer {signed(settings, session.access_token)}", HERE) is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "someone-else"},
        {"iss": None},
        {"aud": "another-api"},
        {"aud": None},
        {"typ": "refresh"},
        {"typ": None},
        {"sub": "not-a-uuid"},
        {"sub": 7},
        {"sub": None},
        {"sid": None},
        {"sid": ["x"]},
        {"jti": None},
        {"iat": None},
        {"nbf": int(time.time()) + 60},
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"exp": "soon"},
    ],
)
async def test_a_wrong_claim_is_refused(
    authenticator: Authenticator, settings: Settings, session: access.Session, claims: dict[str, Any]
) -> None:
    await refusal(authenticator, signed(settings, session.access_token, **claims))


@pytest.mark.parametrize("kid", ["unknown", "", None, 7])
async def test_a_wrong_key_id_is_refused(
    authenticator: Authenticator, settings: Settings, session: access.Session, kid: Any
) -> None:
    if isinstance(kid, int):
        claims = jwt.decode(session.access_token, options={"verify_signature": False})
        await refusal(authenticator, unsigned({"alg": "HS256", "kid": kid}, claims))
        return
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    headers = {"kid": kid} if kid is not None else {}
    await refusal(authenticator, jwt.encode(claims, settings.signing_keys["test"], "HS256", headers=headers))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256"])
async def test_a_token_does_not_choose_its_algorithm(
    authenticator: Authenticator, settings: Settings, session: access.Session, algorithm: str
) -> None:
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    if algorithm.startswith("HS"):
        token = jwt.encode(claims, settings.signing_keys["test"], algorithm, headers={"kid": "test"})
    else:
        token = unsigned({"alg": algorithm, "typ": "JWT", "kid": "test"}, claims)
    await refusal(authenticator, token)
    await refusal(authenticator, token + session.access_token.rpartition(".")[2])


async def test_a_tampered_token_is_refused(authenticator: Authenticator, session: access.Session) -> None:
    header, payload, signature = session.access_token.split(".")
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": str(new_id())}).encode()).rstrip(b"=").decode()
    await refusal(authenticator, f"{header}.{other}.{signature}")
    await refusal(
        authenticator, f"{header}.{payload}.{'A' + signature[1:] if signature[0] != 'A' else 'B' + signature[1:]}"
    )
    await refusal(authenticator, f"{header}.{payload}")


async def test_a_token_of_another_key_is_refused(
    authenticator: Authenticator, settings: Settings, session: access.Session
) -> None:
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    await refusal(authenticator, jwt.encode(claims, "another-secret-" * 4, "HS256", headers={"kid": "test"}))


async def test_a_refresh_token_gives_no_access(authenticator: Authenticator, session: access.Session) -> None:
    await refusal(authenticator, session.refresh_token)


async def test_old_tokens_work_while_their_key_is_listed(
    database: Database, settings: Settings, session: access.Session
) -> None:
    old = settings.jwt_keys.get_secret_value()
    rotated = settings.model_copy(update={"jwt_keys": type(settings.jwt_keys)("new:" + "fedcba98" * 8 + "," + old)})
    dropped = settings.model_copy(update={"jwt_keys": type(settings.jwt_keys)("new:" + "fedcba98" * 8)})
    assert await Authenticator(database, rotated).actor(f"Bearer {session.access_token}", HERE) is not None
    renewed = await access.refresh(database, rotated, session.refresh_token, HERE)
    assert jwt.get_unverified_header(renewed.access_token)["kid"] == "new"
    assert await Authenticator(database, dropped).actor(f"Bearer {renewed.access_token}", HERE) is not None
    await refusal(Authenticator(database, dropped), session.access_token)


async def test_rights_are_the_union_of_the_roles_with_the_widest_scope(
    authenticator: Authenticator, database: Database, session: access.Session, make: Factory
) -> None:
    P = Permission
    await give(database, session.user, {P.PLANNING_WRITE: Scope.UNIT, P.USERS_READ: Scope.ALL}, "One")
    await give(database, session.user, {P.PLANNING_WRITE: Scope.OWN, P.PROJECTS_READ: Scope.UNIT}, "Two")
    await give(database, await make.user(), {P.ROLES_WRITE: Scope.ALL}, "Someone else's")
    unit = await make.unit()
    await run(database, "UPDATE users SET business_unit_id = :unit WHERE id = :id", unit=unit.id, id=session.user.id)
    actor = await authenticator.actor(f"Bearer {session.access_token}", HERE)
    assert actor is not None
    assert dict(actor.grants) == {
        P.PLANNING_WRITE: Scope.UNIT,
        P.USERS_READ: Scope.ALL,
        P.PROJECTS_READ: Scope.UNIT,
    }
    assert (actor.business_unit_id, actor.is_superuser, actor.must_change_password) == (unit.id, False, False)


async def test_one_statement_is_asked_once_in_five_seconds(
    authenticator: Authenticator, session: access.Session, statements: Statements, clock: Clock
) -> None:
    for moment in (1000.0, 1002.0, 1004.9):
        clock.now = moment
        await authenticator.actor(f"Bearer {session.access_token}", HERE)
    assert len(statements) == 1
    clock.now = 1005.0
    await authenticator.actor(f"Bearer {session.access_token}", HERE)
    assert len(statements) == 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE users SET status = 'DEACTIVATED', is_active = false", "cannot sign in"),
        ("UPDATE users SET status = 'LEFT', is_active = false", "cannot sign in"),
        ("UPDATE refresh_tokens SET revoked_at = now()", "has ended"),
        ("UPDATE refresh_tokens SET created_at = now() - interval '9 days', expires_at = now()", "has ended"),
    ],
)
async def test_what_ends_a_session_acts_within_five_seconds_without_any_event(
    authenticator: Authenticator,
    database: Database,
    session: access.Session,
    clock: Clock,
    statement: str,
    words: str,
) -> None:
    await authenticator.actor(f"Bearer {session.access_token}", HERE)
    await run(database, statement)
    clock.now += 4.9
    assert await authenticator.actor(f"Bearer {session.access_token}", HERE) is not None
    clock.now += 0.1
    assert words in await refusal(authenticator, session.access_token)


async def test_a_logout_ends_the_access_token(
    authenticator: Authenticator, database: Database, session: access.Session, clock: Clock
) -> None:
    await authenticator.actor(f"Bearer {session.access_token}", HERE)
    await access.logout(database, HERE, session.refresh_token)
    clock.now += 5
    assert "has ended" in await refusal(authenticator, session.access_token)


async def test_a_refreshed_session_keeps_its_earlier_access_token(
    authenticator: Authenticator, database: Database, settings: Settings, session: access.Session
) -> None:
    await access.refresh(database, settings, session.refresh_token, HERE)
    assert await authenticator.actor(f"Bearer {session.access_token}", HERE) is not None


@pytest.fixture
async def following(authenticator: Authenticator, bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(authenticator.forget_on(bus))
    await asyncio.sleep(0)
    yield
    task.cancel()


async def until_refused(authenticator: Authenticator, token: str) -> str:
    """Polls on the event's arrival; the clock of the cache stands still meanwhile."""
    for _ in range(200):
        try:
            await authenticator.actor(f"Bearer {token}", HERE)
        except Unauthenticated as error:
            return error.detail
        await asyncio.sleep(0.01)
    raise AssertionError("still accepted")


async def test_an_event_makes_a_logout_act_at_once(
    authenticator: Authenticator, database: Database, session: access.Session, following: None
) -> None:
    await authenticator.actor(f"Bearer {session.access_token}", HERE)
    await access.logout(database, HERE, session.refresh_token)
    assert "has ended" in await until_refused(authenticator, session.access_token)


async def test_an_event_about_everyone_forgets_everyone(
    authenticator: Authenticator, database: Database, session: access.Session, bus: Bus, following: None
) -> None:
    await authenticator.actor(f"Bearer {session.access_token}", HERE)
    await run(database, "UPDATE users SET status = 'DEACTIVATED', is_active = false")
    await bus.publish([AccessChanged()])
    assert "cannot sign in" in await until_refused(authenticator, session.access_token)


async def test_what_is_remembered_is_bounded(
    authenticator: Authenticator, session: access.Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.authentication.CACHED_CALLERS", 10)
    for _ in range(30):
        await refusal(authenticator, signed(settings, session.access_token, sid=str(new_id())))
    assert len(authenticator._cached) == 10


async def api_token(database: Database, make: Factory, *scopes: Permission) -> tuple[ApiTokenRow, str]:
    boss = await make.user()
    async with database.transaction(admin(boss)) as tx:
        return await access.create_api_token(tx, "tool", scopes, 30)


@pytest.fixture
async def integration_role(database: Database) -> AsyncIterator[RoleRow]:
    """The shipped role; made here for as long as the test runs when `migrate` has not written it."""
    async with database.transaction(Actor(None)) as tx:
        role = await tx.session.scalar(select(RoleRow).where(RoleRow.name == "integration"))
        made = role is None
        if role is None:
            role = RoleRow(name="integration", shipped=True)
            tx.session.add(role)
    yield role
    if made:
        await run(database, "DELETE FROM user_roles WHERE role_id = :id", id=role.id)
        await run(database, "DELETE FROM roles WHERE id = :id", id=role.id)


async def test_an_api_token_acts_as_its_service_user_within_its_scopes(
    authenticator: Authenticator, database: Database, make: Factory, integration_role: RoleRow
) -> None:
    row, secret = await api_token(database, make, Permission.PLANNING_READ, Permission.PLANNING_WRITE)
    actor = await authenticator.actor(f"Bearer {secret}", HERE)
    assert actor is not None
    assert (actor.user_id, actor.token_id, actor.session_id) == (row.user_id, row.id, None)
    assert dict(actor.grants) == {Permission.PLANNING_READ: Scope.ALL, Permission.PLANNING_WRITE: Scope.ALL}
    assert actor.expires_at == row.expires_at.timestamp()


async def test_without_the_integration_role_the_service_user_s_roles_limit_it_too(
    authenticator: Authenticator, database: Database, make: Factory
) -> None:
    row, secret = await api_token(database, make, Permission.PLANNING_READ, Permission.PLANNING_WRITE)
    await run(database, "DELETE FROM user_roles")
    user = await make.user()
    user.id = row.user_id
    grants = {Permission.PLANNING_WRITE: Scope.UNIT, Permission.ROLES_WRITE: Scope.ALL}
    await give(database, user, grants, "Narrow")
    actor = await authenticator.actor(f"Bearer {secret}", HERE)
    assert actor is not None
    assert dict(actor.grants) == {Permission.PLANNING_WRITE: Scope.UNIT}


async def test_a_token_of_a_superuser_is_limited_to_its_scopes(
    authenticator: Authenticator, database: Database, make: Factory, integration_role: RoleRow
) -> None:
    _, secret = await api_token(database, make, Permission.PLANNING_READ)
    await run(database, "UPDATE users SET is_superuser = true")
    actor = await authenticator.actor(f"Bearer {secret}", HERE)
    assert actor is not None
    assert actor.can(Permission.PLANNING_READ)
    assert not actor.can(Permission.PLANNING_WRITE)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE api_tokens SET revoked_at = now()", "was revoked"),
        ("UPDATE api_tokens SET created_at = now() - interval '9 days', expires_at = now()", "has expired"),
        ("UPDATE users SET status = 'DEACTIVATED', is_active = false", "not active"),
        ("UPDATE users SET is_service = false", "not active"),
    ],
)
async def test_what_ends_an_api_token_acts_within_five_seconds(
    authenticator: Authenticator, database: Database, make: Factory, clock: Clock, statement: str, words: str
) -> None:
    _, secret = await api_token(database, make, Permission.PLANNING_READ)
    await authenticator.actor(f"Bearer {secret}", HERE)
    await run(database, statement)
    clock.now += 5
    assert words in await refusal(authenticator, secret)


async def test_an_unknown_api_token_is_refused(authenticator: Authenticator) -> None:
    assert await refusal(authenticator, "pdc_" + "x" * 43) == "There is no such API token."


async def test_the_last_use_is_noted_at_most_once_a_minute(
    authenticator: Authenticator, database: Database, make: Factory, clock: Clock, statements: Statements
) -> None:
    row, secret = await api_token(database, make, Permission.PLANNING_READ)

    async def last_used_at() -> Any:
        async with database.reads.session() as session:
            return (await session.get_one(ApiTokenRow, row.id)).last_used_at

    assert await last_used_at() is None
    await authenticator.actor(f"Bearer {secret}", HERE)
    first = await last_used_at()
    assert first is not None
    statements.clear()
    clock.now += 10
    await authenticator.actor(f"Bearer {secret}", HERE)
    assert len(statements) == 1
    await run(database, "UPDATE api_tokens SET last_used_at = now() - interval '61 seconds'")
    clock.now += 10
    await authenticator.actor(f"Bearer {secret}", HERE)
    assert await last_used_at() > first


@pytest.mark.parametrize(
    ("client", "address"),
    [(("192.0.2.1", 5), "192.0.2.1"), (("2001:db8::1", 5), "2001:db8::1"), (("testclient", 5), None), (None, None)],
)
def test_the_origin_of_a_request(client: Any, address: str | None) -> None:
    headers = [(b"user-agent", b"x" * 600)]
    scope = {"type": "http", "client": client, "headers": headers, "state": {"request_id": "r1"}}
    assert origin_of(HTTPConnection(scope)) == Origin(address, "x" * 500, "r1")
