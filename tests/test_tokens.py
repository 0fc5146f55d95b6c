"""Tokens as an attacker and as an administrator handle them, over real sockets and across a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from server.actor import Permission, Scope
from server.database import Database
from server.settings import Settings
from tests.access.people import PASSWORD, actions, give, person, run
from tests.factories import Factory
from tests.running import Running, environment, serving

OLD, NEW = "old:" + "0123456789abcdef" * 4, "new:" + "fedcba9876543210" * 4
ME = {"query": "{ me { email } }"}
CREATE = "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { project { id } problems { code } } }"


@pytest.fixture(scope="module")
def server(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("tokens") / "log", environment(settings, JWT_KEYS=OLD)) as running:
        yield running


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
async def tokens(client: httpx.AsyncClient, make: Factory, database: Database) -> dict[str, Any]:
    await give(
        database, await person(make), {Permission.PROJECTS_WRITE: Scope.ALL, Permission.PROJECTS_READ: Scope.ALL}
    )
    return await signed_in(client)


async def signed_in(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/api/v1/auth/login", data={"username": "ada@example.test", "password": PASSWORD})
    assert answer.status_code == 200
    return answer.json()


async def status(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.post("/graphql", json=ME, headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code == 200) == ('"email":"ada@example.test"' in answer.text)
    assert answer.status_code == 200 or "UNAUTHENTICATED" in answer.text
    return answer.status_code


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


Forge = Callable[[dict[str, Any], str], str]


def signed(claims: dict[str, Any], key: str = OLD, algorithm: str = "HS256", **header: Any) -> str:
    name, _, secret = key.partition(":")
    return jwt.encode(claims, secret, algorithm, headers={"kid": name, **header})


FORGERIES: dict[str, Forge] = {
    "alg: none": lambda claims, _: jwt.encode(claims, None, "none", headers={"kid": "old"}),
    "an HMAC with another key": lambda claims, _: signed(claims, "old:" + "f" * 64),
    "another HMAC than ours": lambda claims, _: signed(claims, algorithm="HS512"),
    "another issuer": lambda claims, _: signed({**claims, "iss": "someone"}),
    "another audience": lambda claims, _: signed({**claims, "aud": "someone"}),
    "another type": lambda claims, _: signed({**claims, "typ": "refresh"}),
    "an unknown key id": lambda claims, _: signed(claims, kid="older"),
    "expired": lambda claims, _: signed({**claims, "exp": int(time.time()) - 60}),
    "not yet valid": lambda claims, _: signed({**claims, "nbf": int(time.time()) + 600}),
    "tampered": lambda _, token: token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB"),
}


@pytest.mark.parametrize("how", FORGERIES)
async def test_a_forged_token_is_refused(client: httpx.AsyncClient, tokens: dict[str, Any], how: str) -> None:
    token = tokens["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert await status(client, signed(claims)) == 200
    assert await status(client, FORGERIES[how](claims, token)) == 401


async def test_a_refresh_token_is_no_access_token(client: httpx.AsyncClient, tokens: dict[str, Any]) -> None:
    assert await status(client, tokens["refresh_token"]) == 401


async def test_an_access_token_ends_with_the_logout_and_with_the_account(
    client: httpx.AsyncClient, tokens: dict[str, Any], database: Database
) -> None:
    other = await signed_in(client)
    assert [await status(client, each["access_token"]) for each in (tokens, other)] == [200, 200]
    await client.post("/api/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    await _becomes_401(client, tokens["access_token"])
    assert await status(client, other["access_token"]) == 200
    await run(database, "UPDATE users SET is_active = false, status = 'LEFT'")
    await _becomes_401(client, other["access_token"])
    assert (await refresh(client, other["refresh_token"])).status_code == 401


async def _becomes_401(client: httpx.AsyncClient, token: str) -> None:
    async with asyncio.timeout(6):  # what a process remembers of a caller, it forgets after 5 s
        while await status(client, token) != 401:  # noqa: ASYNC110 — the server tells nobody
            await asyncio.sleep(0.1)


async def test_a_refresh_token_that_is_used_twice_ends_the_session_and_is_audited(
    client: httpx.AsyncClient, tokens: dict[str, Any], database: Database
) -> None:
    fresh = (await refresh(client, tokens["refresh_token"])).json()
    assert (await refresh(client, tokens["refresh_token"])).status_code == 401
    assert (await refresh(client, fresh["refresh_token"])).status_code == 401
    await _becomes_401(client, fresh["access_token"])
    assert (await actions(database))[-1] == "session.replayed"


async def test_of_eight_refreshes_at_the_same_instant_one_succeeds_at_most(
    client: httpx.AsyncClient, tokens: dict[str, Any]
) -> None:
    answers = await asyncio.gather(*(refresh(client, tokens["refresh_token"]) for _ in range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [401] * 7


async def test_an_old_token_works_after_a_rotation_of_the_key_and_a_restart_until_it_expires(
    settings: Settings, tmp_path: Any, make: Factory, database: Database
) -> None:
    await person(make)
    with serving(tmp_path / "before", environment(settings, JWT_KEYS=OLD)) as before:
        async with httpx.AsyncClient(base_url=before.url, timeout=30) as client:
            old = await signed_in(client)
        assert before.stop() == 0
    with serving(tmp_path / "after", environment(settings, JWT_KEYS=f"{NEW},{OLD}")) as after:
        async with httpx.AsyncClient(base_url=after.url, timeout=30) as client:
            assert await status(client, old["access_token"]) == 200
            renewed = (await refresh(client, old["refresh_token"])).json()
            assert jwt.get_unverified_header(renewed["access_token"])["kid"] == "new"
            assert await status(client, renewed["access_token"]) == 200
            claims = jwt.decode(old["access_token"], options={"verify_signature": False})
            expired = signed({**claims, "exp": int(time.time()) - 60})
            assert await status(client, expired) == 401
    with serving(tmp_path / "dropped", environment(settings, JWT_KEYS=NEW)) as dropped:
        async with httpx.AsyncClient(base_url=dropped.url, timeout=30) as client:
            assert await status(client, old["access_token"]) == 401
            assert await status(client, renewed["access_token"]) == 200


async def test_a_request_that_is_sent_again_under_its_key_is_answered_alike_and_done_once(
    client: httpx.AsyncClient, tokens: dict[str, Any], database: Database
) -> None:
    async def send(key: str, code: str, *, by: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        wanted = {"code": code, "name": "Once"} | ({"idempotencyKey": key} if by == "input" else {})
        headers |= {"idempotency-key": key} if by == "header" else {}
        return await client.post("/graphql", json={"query": CREATE, "variables": {"input": wanted}}, headers=headers)

    for by, code in (("header", "ONE"), ("input", "TWO")):
        answers = await asyncio.gather(*(send(by, code, by=by) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        ids = {answer.json()["data"]["projectCreate"]["project"]["id"] for answer in answers}
        assert len(ids) == 1
        other = await send(by, "OTHER", by=by)
        assert other.json()["data"]["projectCreate"]["problems"] == [{"code": "IDEMPOTENCY_KEY_REUSED"}]
    assert (await actions(database)).count("project.created") == 2
