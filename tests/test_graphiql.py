"""GraphiQL as browsers get it: the page and its policy, the assets, and the examples that it opens with."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from graphql import parse
from starlette.applications import Starlette
from starlette.routing import Route

from schema import examples
from server import graphiql

ROOT = Path(__file__).parent.parent
ASSETS = sorted((graphiql.FOLDER / "static").iterdir())
SHA256 = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in ASSETS}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/graphql", graphiql.page), *graphiql.static_routes()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://plan.test") as client:
        yield client


def policy_of(response: httpx.Response) -> dict[str, str]:
    directives = response.headers["content-security-policy"].split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


async def test_every_script_and_style_of_the_page_is_a_file_with_the_nonce_of_its_policy(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/graphql")
    nonce = re.fullmatch(r"'nonce-([\w-]{24})' 'strict-dynamic'", policy_of(response)["script-src"])[1]

    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", response.text, re.DOTALL)
    stylesheets = re.findall(r"<link\b[^>]*rel=\"stylesheet\"[^>]*>", response.text)

    assert len(scripts) == 1
    assert scripts[0][1] == ""
    assert 'src="/graphiql-assets/' in scripts[0][0]
    assert f'nonce="{nonce}"' in scripts[0][0]
    assert [nonce in tag for tag in stylesheets] == [True]
    assert "<style" not in response.text
    assert not re.search(r"\son\w+=|javascript:", response.text)
    assert "__CSP_NONCE__" not in response.text


async def test_each_request_gets_another_nonce_and_no_cache_keeps_it(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/graphql"), await client.get("/graphql")

    assert policy_of(first)["script-src"] != policy_of(second)["script-src"]
    assert first.headers["cache-control"] == "no-store"


async def test_the_policy_allows_this_server_only(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql")
    policy = policy_of(response)
    del policy["script-src"], policy["style-src-elem"]

    assert policy == {
        "default-src": "'none'",
        "style-src-attr": "'unsafe-inline'",
        "connect-src": "'self'",
        "worker-src": "'self'",
        "font-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'none'",
    }
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_the_page_names_the_product_its_language_and_what_to_do_without_javascript(
    client: httpx.AsyncClient,
) -> None:
    text = (await client.get("/graphql")).text

    assert "<title>GraphiQL · Plan de Charge</title>" in text
    assert '<html lang="en">' in text
    assert re.search(r"<noscript>.*POST to /graphql.*</noscript>", text, re.DOTALL)


async def test_the_page_loads_nothing_from_another_host(client: httpx.AsyncClient) -> None:
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", (await client.get("/graphql")).text)

    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/graphiql-assets/")
        assert (await client.get(address)).status_code == 200


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
async def test_an_asset_is_kept_for_a_year_with_its_media_type(client: httpx.AsyncClient, path: Path) -> None:
    response = await client.get(f"/graphiql-assets/{path.name}")
    media_types = {".js": "text/javascript", ".css": "text/css", ".ttf": "font/ttf", ".svg": "image/svg+xml"}

    assert hashlib.sha256(response.content).hexdigest() == SHA256[path.name]
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-type"].split(";")[0] == media_types[path.suffix]
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_large_script_travels_compressed(client: httpx.AsyncClient) -> None:
    largest = max(ASSETS, key=lambda path: path.stat().st_size)
    async with client.stream("GET", f"/graphiql-assets/{largest.name}") as response:
        sent = sum([len(chunk) async for chunk in response.aiter_raw()])

    assert response.headers["content-encoding"] == "gzip"
    assert sent < largest.stat().st_size / 3


async def test_a_missing_asset_is_not_cached(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphiql-assets/index-gone.js")

    assert response.status_code == 404
    assert "cache-control" not in response.headers


@pytest.mark.parametrize("path", ["../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py"])
async def test_only_the_built_files_are_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/graphiql-assets/{path}")).status_code == 404


def test_the_bundle_imports_no_module_worker_font_or_image_of_another_host() -> None:
    loads = re.compile(
        r"""(?:\bfrom|\bimport|import\(|importScripts\(|Worker\(|url\()\s*["'`]?(?:https?:)?//[\w.-]+\.\w+"""
    )
    found = [
        match[0] for path in ASSETS if path.suffix in {".js", ".css"} for match in loads.finditer(path.read_text())
    ]

    assert found == []


def test_every_example_is_a_valid_document_with_a_title_and_an_explanation() -> None:
    loaded = examples.load(date(2026, 11, 22))

    assert [example.name for example in loaded] == [
        "01-overallocated-next-quarter",
        "02-free-in-march",
        "03-load-by-business-unit",
        "04-planning-of-the-year",
        "05-changed-projects",
        "06-write-days-dry-run",
        "07-planning-changed",
    ]
    for example in loaded:
        assert example.title
        assert example.explanation
        [operation] = parse(example.document).definitions
        assert {definition.variable.name.value for definition in operation.variable_definitions} == set(
            example.variables
        )


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 1, 1), "2026-01 2026-01 2026-12 2026-04 2026-06 2026-03"),
        (date(2026, 3, 31), "2026-03 2026-01 2026-12 2026-04 2026-06 2026-03"),
        (date(2026, 4, 1), "2026-04 2026-01 2026-12 2026-07 2026-09 2027-03"),
        (date(2026, 12, 31), "2026-12 2026-01 2026-12 2027-01 2027-03 2027-03"),
    ],
)
def test_month_words_mean_the_same_to_the_browser_and_to_the_tests(today: date, expected: str) -> None:
    words = "{thisMonth} {thisYearFirst} {thisYearLast} {nextQuarterFirst} {nextQuarterLast} {nextMarch}"

    assert examples.fill_months(words, today) == expected
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN: node is not installed")
    script = (
        f"import {{ months }} from {json.dumps((ROOT / 'graphiql/src/months.js').as_uri())};"
        f"console.log(months({json.dumps(words)}, new Date({today.year}, {today.month - 1}, {today.day})))"
    )
    answer = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == expected
