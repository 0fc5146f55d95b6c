"""The web server as a client meets it, over a real socket: GraphQL over HTTP, headers, limits, probes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.actor import Permission, Scope
from server.database import Database
from server.settings import Settings
from tests.access.people import PASSWORD, give, person
from tests.factories import Factory
from tests.running import Running, environment, serving

GRAPHQL_RESPONSE = "application/graphql-response+json"
MULTIPART = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
METRICS_TOKEN = "d41f0e5a7b9c4d2e8f6a1b3c5d7e9f00"
FRIEND, STRANGER = "https://plan.example.test", "https://evil.example.test"
LIMIT = 200_000


@pytest.fixture(scope="module")
def server(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    values = environment(
        settings, METRICS_TOKEN=METRICS_TOKEN, CORS_ORIGINS=FRIEND, MAX_BODY_BYTES=str(LIMIT), PUBLIC_URL=FRIEND
    )
    with serving(tmp_path_factory.mktemp("http") / "log", values) as running:
        yield running


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
async def token(client: httpx.AsyncClient, make: Factory, database: Database) -> str:
    ada = await person(make)
    await give(database, ada, {Permission.PLANNING_READ: Scope.ALL})
    credentials = {"username": "ada@example.test", "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", data=credentials)
    return str(answer.json()["access_token"])


async def post(client: httpx.AsyncClient, document: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": document}, headers={"accept": accept, **headers})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the code in the body of a GraphQL error without a result."""
    body = answer.json()
    assert list(body) == ["errors"]
    assert body["errors"][0]["extensions"]["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    return answer.status_code, body["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/json", "application/json; charset=utf-8"),
        (GRAPHQL_RESPONSE, f"{GRAPHQL_RESPONSE}; charset=utf-8"),
        (f"{GRAPHQL_RESPONSE}, application/json;q=0.9", f"{GRAPHQL_RESPONSE}; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("text/event-stream;;;,", "text/event-stream"),
        ("multipart/mixed", "application/json; charset=utf-8"),
    ],
)
async def test_the_answer_has_the_media_type_that_was_asked_for(
    client: httpx.AsyncClient, accept: str, answered: str
) -> None:
    answer = await post(client, "{ __typename }", accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered)
    assert "__typename" in answer.text


async def test_a_signed_in_caller_is_answered(client: httpx.AsyncClient, token: str) -> None:
    answer = await post(client, "{ me { email } }", authorization=f"Bearer {token}")
    assert answer.json()["data"] == {"me": {"email": "ada@example.test"}}


async def test_an_error_while_executing_is_a_result_of_status_200_in_both_media_types(
    client: httpx.AsyncClient,
) -> None:
    for accept in ("application/json", GRAPHQL_RESPONSE):
        answer = await post(client, "{ me { id } }", accept)
        body = answer.json()
        assert (answer.status_code, body["data"], body["errors"][0]["path"]) == (200, None, ["me"])
        assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ me {", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_REQUEST"),
        ("query ($id: UUID!) { user(id: $id) { id } }", "INVALID_INPUT"),
    ],
)
async def test_what_could_not_be_executed_says_so_by_status_in_the_media_type_of_the_specification(
    client: httpx.AsyncClient, document: str, code: str
) -> None:
    assert refusal(await post(client, document, GRAPHQL_RESPONSE)) == (400, code)
    assert refusal(await post(client, document, "application/json")) == (200, code)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b"1", b'"{ me { id } }"', b'{"query": NaN}', b'{"query": "\xff"}'),
        *(b"{}", b'{"query": null}', b'{"query": 1}', b'{"query": ""}', b'{"query": "{ me { id } }\\ud800"}'),
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "operationName": 3}',
        b'{"query": "{ __typename }", "operationName": "Other"}',
        b'{"query": "{ __typename }", "extensions": 1}',
        b'[{"query": "{ __typename }"}]',
        b"[" * 100_000,
        b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 30_000,
        b'{"query": "{ __typename }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
        b'{"query": "fragment F on Query { __typename }"}',
        b'{"query": ["{ __typename }"]}',
        b'{"query": "{ __typename }", "extensions": []}',
        b'{"query": "{ __typename }", "query": 1}',
        b'\xef\xbb\xbf{"query": "{ __typename }"}',
        b'{"query": "{ __typename }"}'.decode().encode("utf-16"),
    ],
)
async def test_a_body_that_is_no_request_is_a_clean_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    for accept in ("application/json", GRAPHQL_RESPONSE):
        headers = {"content-type": "application/json", "accept": accept}
        assert refusal(await client.post("/graphql", content=body, headers=headers)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", ";"])
async def test_other_media_types_are_refused_since_forms_of_other_sites_can_send_them(
    client: httpx.AsyncClient, kind: str | None
) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert refusal(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused_with_those_that_are_taken(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/graphql", params={"query": "{ __typename }"})
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST"


async def test_head_without_a_page_to_show_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.head("/graphql", params={"query": "{ __typename }"})
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "GET, POST", b"")


async def test_the_last_of_two_equal_keys_counts_as_it_does_in_browsers(client: httpx.AsyncClient) -> None:
    body = b'{"query": "{ nope }", "query": "{ __typename }"}'
    answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
async def test_nothing_runs_by_get_without_a_header_that_another_site_cannot_send(
    client: httpx.AsyncClient, accept: str
) -> None:
    for document in ("{ __typename }", "mutation { logout(input: {}) { signedOut } }"):
        answer = await client.get("/graphql", params={"query": document}, headers={"accept": accept})
        assert refusal(answer) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("{ projets { items { id } } }", {}),
        ("{ me { emial } }", {}),
        ("{ projects(pagesize: 1) { items { id } } }", {}),
        ("{ projects(orderBy: NAMES) { items { id } } }", {}),
        ("query ($f: ProjectFiltre) { projects(filter: $f) { items { id } } }", {}),
        ("query ($f: ProjectFilter) { projects(filter: $f) { items { id } } }", {"f": {"serch": "a", "statut": "b"}}),
        ("query ($o: ProjectOrder) { projects(orderBy: $o) { items { id } } }", {"o": "NAMES"}),
    ],
)
async def test_an_error_suggests_no_names_in_production(
    client: httpx.AsyncClient, token: str, document: str, variables: dict[str, object]
) -> None:
    answer = await client.post(
        "/graphql", json={"query": document, "variables": variables}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.json()["errors"]
    assert "data" not in answer.json()
    assert "Did you mean" not in answer.text


@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { queryType { name } } }",
        '{ a: __type(name: "User") { name } }',
        "{ ...F } fragment F on Query { ... on Query { __schema { queryType { name } } } }",
    ],
)
async def test_signed_in_callers_alone_read_the_schema(client: httpx.AsyncClient, token: str, document: str) -> None:
    answer = await post(client, document, authorization=f"Bearer {token}")
    assert next(iter(answer.json()["data"].values()))
    assert refusal(await post(client, document, GRAPHQL_RESPONSE)) == (401, "UNAUTHENTICATED")


async def test_words_about_introspection_are_no_introspection(client: httpx.AsyncClient) -> None:
    answer = await post(client, "{ __typename } # __schema")
    assert answer.json()["data"] == {"__typename": "Query"}


async def test_a_token_that_does_not_work_is_refused_in_json(client: httpx.AsyncClient) -> None:
    for authorization in ("Bearer nonsense", "Basic YTpi", "Bearer"):
        answer = await post(client, "{ __typename }", authorization=authorization)
        assert refusal(answer) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_browser_gets_graphiql_and_its_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "nonce-" in answer.headers["content-security-policy"]
    front = await client.get("/")
    assert (front.status_code, front.headers["location"]) == (307, "/graphql")


async def test_a_query_runs_over_the_transports_of_subscriptions_or_says_why_not(client: httpx.AsyncClient) -> None:
    events = await post(client, "{ __typename }", "text/event-stream")
    lines = [line for line in events.text.splitlines() if line]
    assert [lines[0], *lines[2:]] == ["event: next", "event: complete", "data: "]
    assert lines[1].startswith('data: {"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,')
    parts = await post(client, "{ __typename }", MULTIPART)
    assert refusal(parts) == (400, "BAD_REQUEST")
    assert parts.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("document", "code"),
    [("subscription {", "GRAPHQL_PARSE_FAILED"), ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED")],
)
async def test_a_stream_that_is_refused_has_the_status_that_its_protocol_allows(
    client: httpx.AsyncClient, document: str, code: str
) -> None:
    """GraphQL over SSE wants what is wrong with a document told by an event; multipart wants nothing of the kind."""
    assert refusal(await post(client, document, MULTIPART)) == (400, code)
    events = await post(client, document, "text/event-stream")
    assert (events.status_code, events.headers["content-type"]) == (200, "text/event-stream")
    assert f'"code":"{code}"' in events.text
    assert events.text.startswith("event: next")
    for accept in (MULTIPART, "text/event-stream"):
        assert refusal(await post(client, document, accept, authorization="Bearer x")) == (401, "UNAUTHENTICATED")


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    too_large = client.post("/graphql", content=b"x" * (LIMIT + 1), headers={"content-type": "application/json"})
    for answer in [
        await client.get("/health"),
        await client.get("/nowhere"),
        await post(client, "{ __typename }"),
        await post(client, "{ __typename }", authorization="Bearer nonsense"),
        await client.get("/graphql"),
        await client.get("/graphql", headers={"accept": "text/html"}),
        await client.post("/api/v1/auth/login"),
        await too_large,
    ]:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
        assert len(answer.headers.get_list("content-security-policy")) == 1
        assert "server" not in answer.headers


async def test_a_plain_request_id_is_taken_and_anything_else_replaced(client: httpx.AsyncClient) -> None:
    async def given(value: str) -> str:
        headers = {b"x-request-id": value.encode()}
        return str((await client.get("/health", headers=headers)).headers["x-request-id"])

    assert await given("build-42.7") == "build-42.7"
    for strange in ("a b", "é", "x" * 65, "", "<script>", "a\tb"):
        made = await given(strange)
        assert made != strange
        assert len(made) == 36


async def test_the_trace_of_the_caller_is_continued(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await client.get("/health", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.headers["traceparent"].split("-")[1] == trace
    strange = await client.get("/health", headers={"traceparent": "00-zz-00f067aa0ba902b7-01"})
    assert len(strange.headers["traceparent"].split("-")[1]) == 32


async def test_only_listed_origins_may_read_answers(client: httpx.AsyncClient) -> None:
    friend = await post(client, "{ __typename }", origin=FRIEND)
    assert friend.headers["access-control-allow-origin"] == FRIEND
    stranger = await post(client, "{ __typename }", origin=STRANGER)
    assert "access-control-allow-origin" not in stranger.headers
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = await client.options("/graphql", headers={"origin": FRIEND, **preflight})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert "access-control-allow-credentials" not in allowed.headers
    for header in ("GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name"):
        asked = {**preflight, "access-control-request-headers": f"{header}, If-None-Match, X-Requested-With"}
        assert (await client.options("/graphql", headers={"origin": FRIEND, **asked})).status_code == 200
    assert "ETag" in friend.headers["access-control-expose-headers"]
    refused = await client.options("/graphql", headers={"origin": STRANGER, **preflight})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


async def test_a_body_over_the_limit_is_refused_by_its_declared_length_and_while_it_arrives(
    client: httpx.AsyncClient,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 1_000 + 1):
            yield b" " * 1_000

    for content in (b" " * (LIMIT + 1), endless()):
        answer = await client.post("/graphql", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
        assert answer.headers["content-type"] == "application/problem+json"
    fitting = b'{"query": "{ __typename }"}' + b" " * (LIMIT - 27)
    answer = await client.post("/graphql", content=fitting, headers={"content-type": "application/json"})
    assert answer.status_code == 200


async def test_health_and_readiness_name_the_state_of_each_dependency(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}
    ready = await client.get("/readiness")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "dependencies": {"database": "ok", "redis": "ok"}},
    )


async def test_metrics_answer_loopback_callers_and_holders_of_the_token_alone(client: httpx.AsyncClient) -> None:
    proxied = {"x-forwarded-for": "198.51.100.7"}  # uvicorn believes it of loopback: this caller comes from afar
    assert (await client.get("/metrics")).status_code == 200
    assert (await client.get("/metrics", headers=proxied)).status_code == 404
    wrong = {"authorization": "Bearer wrong", **proxied}
    assert (await client.get("/metrics", headers=wrong)).status_code == 404
    right = {"authorization": f"Bearer {METRICS_TOKEN}", **proxied}
    assert (await client.get("/metrics", headers=right)).status_code == 200


async def test_an_unknown_address_is_a_problem_that_points_to_the_api(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "NOT_FOUND"
    assert "/graphql" in answer.json()["detail"]


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        b"GARBAGE\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /graphql?%zz=%ff HTTP/1.1\r\nHost: \xff\r\nAccept: \xff\r\nConnection: close\r\n\r\n",
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_broken_requests_leave_no_crash_behind(server: Running, client: httpx.AsyncClient, raw: bytes) -> None:
    """A client that leaves in mid-request, or speaks no HTTP, is no error of ours."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port), timeout=5) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        received = connection.recv(65_536)
    assert b" 500 " not in received
    assert (await client.get("/health")).status_code == 200
    assert "Traceback" not in server.text()
    assert not [line for line in server.logged() if line["level"] == "error"]


async def executions(client: httpx.AsyncClient) -> dict[str, float]:
    """executor -> operations that it has run in the server."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        for sample in family.samples:
            if sample.name == "plancharge_graphql_executions_total":
                executor = sample.labels["executor"]
                found[executor] = found.get(executor, 0) + sample.value
    return found


async def test_metrics_tell_what_ran_compiled_and_that_nothing_was_left_to_graphql_core(
    client: httpx.AsyncClient, token: str, settings: Settings
) -> None:
    """Of all that the tests above have asked, too."""
    before = await executions(client)
    answer = await client.post(
        "/graphql", json={"query": "{ me { id } }"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.json()["data"]["me"]
    after = await executions(client)
    assert after.get("compiled", 0) - before.get("compiled", 0) == (settings.graphql_executor == "compiled")
    assert after.get("graphql-core", 0) == 0


@pytest.mark.parametrize("length", [LIMIT + 1, 10])
async def test_an_answer_without_cors_tells_caches_that_it_depends_on_the_origin(
    client: httpx.AsyncClient, length: int
) -> None:
    answer = await client.post("/graphql", content=b"x" * length, headers={"content-type": "application/json"})
    assert answer.headers["vary"] == "Origin"
    answer = await client.post(
        "/graphql", content=b"x" * length, headers={"content-type": "application/json", "origin": FRIEND}
    )
    assert (answer.headers["vary"], answer.headers["access-control-allow-origin"]) == ("Origin", FRIEND)
