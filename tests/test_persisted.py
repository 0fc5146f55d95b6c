"""Documents by their hash over real HTTP and WebSocket, and the allow-list that `plancharge persist` writes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from schema import build_schema
from schema.persisted import PersistedDocuments, PersistedQueryNotFound, persist
from server.errors import BadRequest
from server.settings import Settings, SettingsError
from tests.running import Running, environment, run, serving
from tests.test_subscriptions import init, opened, receive, send

TYPENAME, OTHER = "{ __typename }", "{ a: __typename }"
NOBODY = "redis://127.0.0.1:1"


def hashed(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}


@pytest.fixture(scope="module")
def servers(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Two processes with one Valkey; the second runs trusted documents only."""
    folder = tmp_path_factory.mktemp("persisted")
    (folder / "trusted.graphql").write_text(TYPENAME)
    persist(build_schema()._schema, [folder / "trusted.graphql"], folder / "trusted.json")
    only = {"TRUSTED_DOCUMENTS": str(folder / "trusted.json"), "TRUSTED_DOCUMENTS_ONLY": "true"}
    with (
        serving(folder / "first", environment(settings)) as first,
        serving(folder / "second", environment(settings, **only)) as second,
    ):
        yield [first, second]


@pytest.fixture
async def client(servers: list[Running], redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    await redis.flushdb()
    async with httpx.AsyncClient(base_url=servers[0].url, timeout=30) as client:
        yield client


@pytest.fixture
async def strict(servers: list[Running]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=servers[1].url, timeout=30) as client:
        yield client


async def post(client: httpx.AsyncClient, accept: str = "application/json", **body: Any) -> tuple[int, Any]:
    answer = await client.post("/graphql", json=body, headers={"accept": accept})
    return answer.status_code, answer.json()


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert "data" not in body
    return status, body["errors"][0]["extensions"]["code"]


async def test_a_hash_that_nobody_knows_is_answered_as_apollo_s_clients_expect(client):
    unknown = hashed("{ never: __typename }")
    status, body = await post(client, extensions=unknown)
    assert (status, body["errors"][0]["message"]) == (200, "PersistedQueryNotFound")
    assert body["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    accept = "application/graphql-response+json"
    assert code(await post(client, accept, extensions=unknown)) == (404, "PERSISTED_QUERY_NOT_FOUND")


async def test_a_document_sent_with_its_hash_is_known_afterwards_by_post_by_get_and_to_other_processes(
    client, redis, settings
):
    assert (await post(client, query=TYPENAME, extensions=hashed(TYPENAME)))[1]["data"] == {"__typename": "Query"}
    assert (await post(client, extensions=hashed(TYPENAME)))[1]["data"] == {"__typename": "Query"}
    by_get = await client.get("/graphql", params={"extensions": orjson.dumps(hashed(TYPENAME)).decode()})
    assert (by_get.status_code, by_get.json()["data"]) == (200, {"__typename": "Query"})
    other_process = PersistedDocuments(redis, settings)
    assert await other_process.find(None, hashed(TYPENAME)) == (TYPENAME, None)
    assert 0 < await redis.ttl("plancharge:document:" + hashed(TYPENAME)["persistedQuery"]["sha256Hash"]) <= 604_800


async def test_a_document_under_another_s_hash_is_refused_and_not_kept(client, redis):
    assert code(await post(client, query=OTHER, extensions=hashed("{ x: __typename }"))) == (400, "BAD_REQUEST")
    assert await redis.keys("plancharge:document:*") == []


@pytest.mark.parametrize("document", ["{ nope }", "{ me { ", "{ " + "a: __typename " * 61 + "}"])
async def test_what_is_not_valid_or_over_a_limit_is_not_kept(client, redis, document):
    await post(client, query=document, extensions=hashed(document))
    assert await redis.keys("plancharge:document:*") == []


@pytest.mark.parametrize(
    "asked",
    [None, 1, [], {}, {"version": 2, "sha256Hash": "0" * 64}, {"version": 1, "sha256Hash": "x"}, {"version": 1}],
)
async def test_what_is_not_apollo_s_version_1_is_refused(client, asked):
    assert code(await post(client, extensions={"persistedQuery": asked})) == (400, "BAD_REQUEST")


async def test_by_get_a_document_needs_a_header_that_another_site_cannot_send(client):
    params = {"query": TYPENAME}
    refused = await client.get("/graphql", params=params)
    assert code((refused.status_code, refused.json())) == (400, "BAD_REQUEST")
    for headers in ({"content-type": "text/plain"}, {"accept": "*/*"}):
        assert (await client.get("/graphql", params=params, headers=headers)).status_code == 400
    allowed = await client.get("/graphql", params=params, headers={"graphql-require-preflight": "1"})
    assert allowed.json()["data"] == {"__typename": "Query"}


async def test_a_mutation_by_get_is_not_allowed(client):
    params = {"query": "mutation { logout(input: {}) { signedOut } }"}
    answer = await client.get("/graphql", params=params, headers={"graphql-require-preflight": "1"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_variables_by_get_are_read_from_the_address(client):
    query = "query ($n: Boolean!) { __typename @include(if: $n) }"
    headers = {"graphql-require-preflight": "1"}
    good = await client.get("/graphql", params={"query": query, "variables": '{"n": false}'}, headers=headers)
    assert good.json()["data"] == {}
    bad = await client.get("/graphql", params={"query": query, "variables": "{"}, headers=headers)
    assert code((bad.status_code, bad.json())) == (400, "BAD_REQUEST")


async def test_a_known_hash_runs_over_a_socket_and_an_unknown_one_is_an_error(client, servers):
    await post(client, query=TYPENAME, extensions=hashed(TYPENAME))
    async with opened(servers[0]) as socket:
        await init(socket)
        await send(socket, "subscribe", id="1", payload={"extensions": hashed(TYPENAME)})
        assert (await receive(socket))["payload"]["data"] == {"__typename": "Query"}
        assert (await receive(socket))["type"] == "complete"
        await send(socket, "subscribe", id="2", payload={"extensions": hashed("{ never: __typename }")})
        refused = await receive(socket)
        assert (refused["type"], refused["payload"][0]["message"]) == ("error", "PersistedQueryNotFound")


async def test_trusted_documents_only_admits_those_by_text_and_by_hash(strict, servers):
    assert (await post(strict, query=TYPENAME))[1]["data"] == {"__typename": "Query"}
    assert (await post(strict, extensions=hashed(TYPENAME)))[1]["data"] == {"__typename": "Query"}
    assert code(await post(strict, query=OTHER)) == (403, "DOCUMENT_NOT_TRUSTED")
    assert code(await post(strict, query=OTHER, extensions=hashed(OTHER))) == (403, "DOCUMENT_NOT_TRUSTED")
    assert code(await post(strict, extensions=hashed(OTHER))) == (200, "PERSISTED_QUERY_NOT_FOUND")
    async with opened(servers[1]) as socket:
        await init(socket)
        await send(socket, "subscribe", id="1", payload={"query": OTHER})
        refused = await receive(socket)
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "DOCUMENT_NOT_TRUSTED")


async def test_what_other_processes_keep_is_not_trusted(client, strict):
    await post(client, query=OTHER, extensions=hashed(OTHER))
    assert code(await post(strict, extensions=hashed(OTHER))) == (200, "PERSISTED_QUERY_NOT_FOUND")


async def test_without_redis_a_process_knows_what_it_was_sent_itself(settings):
    redis = Redis.from_url(NOBODY)
    documents = PersistedDocuments(redis, settings)
    _, new = await documents.find(TYPENAME, hashed(TYPENAME))
    assert new is not None
    await documents.keep(new)
    assert await documents.find(None, hashed(TYPENAME)) == (TYPENAME, None)
    with pytest.raises(PersistedQueryNotFound):
        await documents.find(None, hashed(OTHER))
    with pytest.raises(BadRequest):
        await documents.find(None, None)
    await redis.aclose()


async def test_what_a_process_keeps_is_bounded(settings, redis):
    documents = PersistedDocuments(redis, settings)
    for number in range(60):
        _, new = await documents.find("#" * 99_000 + f"\n{{ a{number}: __typename }}", hashed_long(number))
        await documents.keep(new)
    assert sum(map(len, documents._kept.values())) <= 4_000_000
    assert len(documents._kept) == 40


def hashed_long(number: int) -> dict[str, Any]:
    return hashed("#" * 99_000 + f"\n{{ a{number}: __typename }}")


def test_persist_adds_documents_and_refuses_what_does_not_fit_the_schema(tmp_path: Path):
    good, bad, out = tmp_path / "good.graphql", tmp_path / "bad.graphql", tmp_path / "list.json"
    good.write_text(TYPENAME)
    bad.write_text("{ nope }")
    first = run("persist", str(good), "--output", str(out), "--json")
    assert (first.returncode, orjson.loads(first.stdout)[0]["hash"]) == (
        0,
        hashlib.sha256(TYPENAME.encode()).hexdigest(),
    )
    refused = run("persist", str(good), str(bad), "--output", str(out))
    assert (refused.returncode, "Cannot query field 'nope'" in refused.stdout) == (3, True)
    assert list(orjson.loads(out.read_bytes()).values()) == [TYPENAME]


def test_documents_of_earlier_releases_stay_unless_replaced(tmp_path: Path):
    core, out = build_schema()._schema, tmp_path / "list.json"
    for name, text in (("a.graphql", TYPENAME), ("b.graphql", OTHER)):
        (tmp_path / name).write_text(text)
    persist(core, [tmp_path / "a.graphql"], out)
    persist(core, [tmp_path / "b.graphql"], out)
    assert set(orjson.loads(out.read_bytes()).values()) == {TYPENAME, OTHER}
    persist(core, [tmp_path / "b.graphql"], out, replace=True)
    assert list(orjson.loads(out.read_bytes()).values()) == [OTHER]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"0": "{ a }"}', b'{"0": 1}'])
async def test_a_server_does_not_start_on_a_list_that_was_tampered_with(tmp_path, settings, redis, content):
    path = tmp_path / "list.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="TRUSTED_DOCUMENTS"):
        PersistedDocuments(redis, settings.model_copy(update={"trusted_documents": path}))
