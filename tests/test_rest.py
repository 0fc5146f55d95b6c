"""The REST door to signing in: forms, cookies, problems."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from server import rest
from server.actor import Permission, Scope
from server.authentication import Authenticator
from server.database import Database, create_engine
from server.queue import Queue
from server.settings import Settings
from server.users.models import UserRow
from tests.access.people import PASSWORD, give, just_now, person, run
from tests.factories import Factory

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
ME = "/api/v1/auth/me"
CREDENTIALS = {"username": "ada@example.test", "password": PASSWORD}
OURS = {"X-Requested-With": "plancharge"}


def application(database: Database, settings: Settings) -> Starlette:
    app = Starlette(routes=rest.routes())
    app.state.database, app.state.settings = database, settings
    app.state.authenticator = Authenticator(database, settings)
    return app


def browser(app: Starlette, base_url: str = "http://test") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("192.0.2.10", 5000))
    return httpx.AsyncClient(transport=transport, base_url=base_url)


@pytest.fixture
async def client(database: Database, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(application(database, settings)) as client:
        yield client


@pytest.fixture
async def ada(make: Factory) -> UserRow:
    return await person(make)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def is_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert list(body) == ["type", "title", "status", "detail", "instance", "code", "errors"]
    assert (body["status"], body["code"]) == (status, code)


async def test_a_form_gives_tokens(client: httpx.AsyncClient, ada: UserRow) -> None:
    response = await client.post(LOGIN, data=CREDENTIALS)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "must_change_password"}
    assert (body["token_type"], body["expires_in"], body["must_change_password"]) == ("bearer", 1800, False)
    assert "set-cookie" not in response.headers


async def test_multipart_and_json_work_as_well(client: httpx.AsyncClient, ada: UserRow) -> None:
    parts = {name: (None, value) for name, value in CREDENTIALS.items()}
    assert (await client.post(LOGIN, files=parts)).status_code == 200
    assert (await client.post(LOGIN, json=CREDENTIALS)).status_code == 200


async def test_wrong_credentials_are_a_problem(client: httpx.AsyncClient, ada: UserRow) -> None:
    known = await client.post(LOGIN, data={**CREDENTIALS, "password": "wrong"})
    unknown = await client.post(LOGIN, data={**CREDENTIALS, "username": "nobody@example.test"})
    is_problem(known, 401, "UNAUTHENTICATED")
    assert known.headers["www-authenticate"] == "Bearer"
    assert known.json() == unknown.json()


async def test_too_many_failures_say_when_to_try_again(
    client: httpx.AsyncClient, database: Database, ada: UserRow
) -> None:
    for _ in range(5):
        await client.post(LOGIN, data={**CREDENTIALS, "password": "wrong"})
    await just_now(database)
    response = await client.post(LOGIN, data=CREDENTIALS)
    is_problem(response, 429, "RATE_LIMITED")
    assert response.headers["retry-after"] == "1"


async def test_refresh_takes_json_or_a_form_and_rotates(client: httpx.AsyncClient, ada: UserRow) -> None:
    first = (await client.post(LOGIN, data=CREDENTIALS)).json()
    second = await client.post(REFRESH, json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    third = await client.post(REFRESH, data={"refresh_token": second.json()["refresh_token"]})
    assert third.status_code == 200
    replay = await client.post(REFRESH, json={"refresh_token": first["refresh_token"]})
    is_problem(replay, 401, "UNAUTHENTICATED")
    over = await client.post(REFRESH, json={"refresh_token": third.json()["refresh_token"]})
    is_problem(over, 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(("public_url", "secure"), [("http://test", False), ("https://test", True)])
async def test_the_cookie_variant_keeps_the_refresh_token_from_scripts(
    database: Database, settings: Settings, ada: UserRow, public_url: str, secure: bool
) -> None:
    app = application(database, settings.model_copy(update={"public_url": public_url}))
    async with browser(app, public_url) as client:
        response = await client.post(LOGIN, data={**CREDENTIALS, "use_cookie": "true"})
        assert "refresh_token" not in response.json()
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("plancharge_refresh=")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        expected = {"httponly", "max-age=604800", "path=/api/v1/auth", "samesite=strict"}
        assert attributes == expected | ({"secure"} if secure else set())
        refreshed = await client.post(REFRESH, headers=OURS)
        assert refreshed.status_code == 200
        assert "refresh_token" not in refreshed.json()
        assert refreshed.headers["set-cookie"].split(";")[0] != cookie.split(";")[0]
        assert (await client.post(REFRESH, headers=OURS)).status_code == 200


async def test_the_cookie_alone_does_not_refresh(client: httpx.AsyncClient, ada: UserRow) -> None:
    await client.post(LOGIN, data={**CREDENTIALS, "use_cookie": "true"})
    is_problem(await client.post(REFRESH), 403, "FORBIDDEN")
    is_problem(await client.post(REFRESH, headers={"X-Requested-With": "x"}), 403, "FORBIDDEN")
    is_problem(await client.post(LOGOUT), 403, "FORBIDDEN")
    assert (await client.post(REFRESH, headers=OURS)).status_code == 200  # and the refusals used nothing up


async def test_a_cookie_that_is_over_is_taken_away(client: httpx.AsyncClient, database: Database, ada: UserRow) -> None:
    await client.post(LOGIN, data={**CREDENTIALS, "use_cookie": "true"})
    await run(database, "UPDATE refresh_tokens SET revoked_at = now()")
    is_problem(await client.post(REFRESH, headers=OURS), 401, "UNAUTHENTICATED")
    assert not client.cookies


async def test_logout_by_token_by_cookie_and_by_access_token(client: httpx.AsyncClient, ada: UserRow) -> None:
    by_token = (await client.post(LOGIN, data=CREDENTIALS)).json()
    assert (await client.post(LOGOUT, json={"refresh_token": by_token["refresh_token"]})).status_code == 204
    is_problem(await client.post(REFRESH, json={"refresh_token": by_token["refresh_token"]}), 401, "UNAUTHENTICATED")
    by_access = (await client.post(LOGIN, data=CREDENTIALS)).json()
    assert (await client.post(LOGOUT, headers=bearer(by_access))).status_code == 204
    is_problem(await client.get(ME, headers=bearer(by_access)), 401, "UNAUTHENTICATED")
    await client.post(LOGIN, data={**CREDENTIALS, "use_cookie": "true"})
    assert (await client.post(LOGOUT, headers=OURS)).status_code == 204
    assert not client.cookies
    is_problem(await client.post(LOGOUT), 401, "UNAUTHENTICATED")


async def test_me(client: httpx.AsyncClient, database: Database, ada: UserRow) -> None:
    await give(database, ada, {Permission.PLANNING_WRITE: Scope.OWN, Permission.PLANNING_READ: Scope.ALL}, "Planners")
    tokens = (await client.post(LOGIN, data=CREDENTIALS)).json()
    response = await client.get(ME, headers=bearer(tokens))
    assert response.json() == {
        "id": str(ada.id),
        "email": "ada@example.test",
        "first_name": "Ada",
        "last_name": ada.last_name,
        "roles": ["Planners"],
        "permissions": [
            {"permission": "planning:read", "scope": "all"},
            {"permission": "planning:write", "scope": "own"},
        ],
        "is_superuser": False,
        "must_change_password": False,
    }
    assert response.headers["cache-control"] == "no-store"


async def test_me_without_a_working_token(client: httpx.AsyncClient) -> None:
    is_problem(await client.get(ME), 401, "UNAUTHENTICATED")
    is_problem(await client.get(ME, headers={"Authorization": "Bearer x"}), 401, "UNAUTHENTICATED")
    is_problem(await client.get(ME, headers={"Authorization": "Basic YTpi"}), 401, "UNAUTHENTICATED")


FORM = "application/x-www-form-urlencoded"
BAD_BODIES: list[tuple[bytes, str, int]] = [
    (b"", "", 400),
    (b"", FORM, 400),
    (b"username=a", FORM, 400),
    (b"username=%ff%fe&password=%00", FORM, 401),
    (b"\xff\xfe=1", FORM, 400),
    (b"&".join(b"f%d=1" % n for n in range(200)), FORM, 400),
    (b"nonsense", "multipart/form-data", 400),
    (b"nonsense", "multipart/form-data; boundary=x", 400),
    (
        b'--x\r\nContent-Disposition: form-data; name="username"; filename="f"\r\n\r\na\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
        400,
    ),
    (b"<a/>", "application/xml", 415),
    (b"{}", "", 415),
    (b"{", "application/json", 400),
    (b"null", "application/json", 400),
    (b"[1]", "application/json", 400),
    (b'"text"', "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 10_000, "application/json", 400),
    (b'{"username": ' + b"1" * 5000 + b', "password": "x"}', "application/json", 400),
    (b'{"username": 1, "password": null}', "application/json", 400),
    (b'{"username": "\\ud800", "password": "\\ud800"}', "application/json", 400),
    (b'{"username": "\\u0000", "password": "\\u0000"}', "application/json", 401),
    (b"x" * 20_000, "application/json", 413),
    (b"username=" + b"x" * 20_000, FORM, 413),
]


@pytest.mark.parametrize(("body", "kind", "status"), BAD_BODIES)
async def test_a_malformed_sign_in_is_a_problem_never_a_crash(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    response = await client.post(LOGIN, content=body, headers={"content-type": kind} if kind else {})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"refresh_token": 7}', "application/json", 400),
        (b'{"refresh_token": "x"}', "application/json", 401),
        (b'{"refresh_token": ""}', "application/json", 401),
        (b"x" * 20_000, FORM, 413),
    ],
)
async def test_a_malformed_refresh_is_a_problem_never_a_crash(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    response = await client.post(REFRESH, content=body, headers={"content-type": kind})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_page_of_another_site_cannot_sign_anyone_in(
    database: Database, settings: Settings, ada: UserRow
) -> None:
    allowed = settings.model_copy(update={"cors_origins": ("https://planning.example",)})
    async with browser(application(database, allowed)) as client:
        theirs = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        is_problem(await client.post(LOGIN, data=CREDENTIALS, headers=theirs), 403, "FORBIDDEN")
        listed = {"Sec-Fetch-Site": "cross-site", "Origin": "https://planning.example"}
        assert (await client.post(LOGIN, data=CREDENTIALS, headers=listed)).status_code == 200
        own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://test"}
        assert (await client.post(LOGIN, data=CREDENTIALS, headers=own)).status_code == 200


async def test_other_methods_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(LOGIN)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_an_unreachable_database_is_a_503_problem(settings: Settings, bus: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    away = settings.model_copy(update={"database_url": f"postgresql+asyncpg://x:x@127.0.0.1:{port}/x"})
    database = Database(create_engine(away), bus, Queue(settings.redis_url))
    async with browser(application(database, away)) as client:
        response = await client.post(LOGIN, data=CREDENTIALS)
    is_problem(response, 503, "UNAVAILABLE")
    assert response.headers["retry-after"] == "2"
    await database.close()


async def test_signing_in_over_a_real_socket(database: Database, settings: Settings, ada: UserRow) -> None:
    config = uvicorn.Config(application(database, settings), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        task = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started:  # noqa: ASYNC110 — uvicorn offers no event to wait for
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=address) as client:
                tokens = (await client.post(LOGIN, data=CREDENTIALS)).json()
                me = await client.get(ME, headers=bearer(tokens))
                assert (me.status_code, me.json()["id"]) == (200, str(ada.id))
                results = await asyncio.gather(
                    *(client.post(REFRESH, json={"refresh_token": tokens["refresh_token"]}) for _ in range(8))
                )
                assert sorted(result.status_code for result in results) == [200] + [401] * 7
                bodyless = await client.post(LOGIN, content=b"x" * 200_000, headers={"content-type": FORM})
                is_problem(bodyless, 413, "BODY_TOO_LARGE")
        finally:
            server.should_exit = True
            await task
