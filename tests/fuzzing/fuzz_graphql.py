"""Schemathesis invents documents, right and wrong, for every query and mutation; a real server answers each properly.

`make fuzz` runs it. `make test` does not, for which the name of this file is not a test's: it may take a minute and a
half. It tries the same documents at every run, so that CI fails for who broke something; `FUZZ_EXAMPLES=500 make fuzz`
tries that many others of each field.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
import hypothesis
import orjson
import pytest
import schemathesis
from graphql import (
    FieldNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    parse,
    print_ast,
    value_from_ast_untyped,
)
from hypothesis import HealthCheck, Phase, strategies
from schemathesis.generation import GenerationMode
from schemathesis.graphql import nodes

from server import seed
from server.seed import Demo
from server.settings import DEMO_PASSWORD, Settings
from tests.running import environment, serving

ASKED = int(os.environ.get("FUZZ_EXAMPLES", "0"))
EXAMPLES = ASKED or 6
ADMIN = "admin@demo.test"
ADMINISTRATOR, WRONG, STRANGER = "administrator", "administrator, wrong documents", "stranger"
PEOPLE = 30
PAGES = ("page", "size", "first")
UNLIMITED = str(10**9)
GRAPHQL_RESPONSE = "application/graphql-response+json"

SCHEMA = schemathesis.graphql.from_file((Path(__file__).parents[2] / "schema" / "schema.graphql").read_text())
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in SCHEMA.get_all_operations())}

# What is read from the server once it runs: with ids that nobody has, no document would get beyond NOT_FOUND.
KNOWN_IDS: list[str] = []
NUMBERS = ["0", "-0", "0.001", "12.50", "1e99", "1e-99", "9" * 40, "-1", "NaN", "Infinity", "", "1_0", "\u0663"]
MONTHS = ["0001-01", "9999-12", "1969-12", "2027-13", "2027-1", "", "-2027-01", "2027-01-01"]
DAYS = ["0001-01-01", "9999-12-31", "2027-02-29", "2024-02-29", "", "2027-W01-1", "20270101"]
MOMENTS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-06-30T23:59:60Z", "2026-01-01T00:00:00", ""]


def _scalar(name: str, edges: list[str], usual: strategies.SearchStrategy[str]) -> None:
    """Mostly usual values: a document with one wrong scalar is refused whole, and many have ten."""
    of_ten = strategies.sampled_from([usual] * 9 + [strategies.sampled_from(edges)])
    schemathesis.graphql.scalar(name, of_ten.flatmap(lambda chosen: chosen).map(nodes.String))


_near = strategies.dates(date(2025, 1, 1), date(2028, 1, 1)).map(str)
_known = strategies.deferred(lambda: strategies.sampled_from(KNOWN_IDS))
_scalar("UUID", ["", "\0" * 36, "g" * 36, "0" * 36, "{" + "0" * 34 + "}"], _known | strategies.uuids().map(str))
_scalar("Month", MONTHS, _near.map(lambda day: day[:7]))
_scalar("Date", DAYS, _near)
_scalar("DateTime", MOMENTS, strategies.datetimes().map(lambda moment: f"{moment.isoformat()}Z"))
_scalar("Decimal", NUMBERS, strategies.decimals(-5, 40, places=2).map(str))


@dataclass
class Site:
    """A running server, and what it answered so far to (whom, how)."""

    client: httpx.Client
    token: str = "none yet"
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def sign_in(self) -> None:
        """Unless that still holds: one of the mutations is `logout`."""
        headers = {"authorization": f"Bearer {self.token}"}
        if "UNAUTHENTICATED" in self.client.post("/graphql", json={"query": "{ me { id } }"}, headers=headers).text:
            answer = self.client.post("/api/v1/auth/login", data={"username": ADMIN, "password": DEMO_PASSWORD})
            self.token = answer.raise_for_status().json()["access_token"]

    def ask(self, document: str, variables: dict[str, Any], whose: str) -> None:
        """Sends the document and holds every promise about its answer."""
        headers = {"accept": GRAPHQL_RESPONSE}
        if whose != STRANGER:
            headers["authorization"] = f"Bearer {self.token}"
        answer = self.client.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        assert answer.status_code in {200, 400, 401}, answer.text
        assert answer.headers["content-type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"
        content: dict[str, Any] = orjson.loads(answer.content)
        assert content.keys() <= {"data", "errors", "extensions"}
        assert content.get("errors") or content["data"], "either something went wrong or there is an answer"
        assert all(error["message"] for error in content.get("errors", []))
        codes = {error["extensions"]["code"] for error in content.get("errors", [])}
        assert (codes | codes_of_problems(content.get("data"))).isdisjoint({"", "INTERNAL", "UNAVAILABLE"}), content
        self.outcomes.update((whose, code) for code in codes or {"answered"})


def codes_of_problems(data: Any) -> set[str]:
    if isinstance(data, dict):
        found = {data["code"]} if "detail" in data and "code" in data else set()
        return found.union(*map(codes_of_problems, data.values()))
    return set().union(*map(codes_of_problems, data)) if isinstance(data, list) else set()


TABLES = ("users", "projects", "business_units", "roles", "assignments", "forecasts", "contracts", "absences")


async def known_ids(settings: Settings) -> list[str]:
    """Some of each table, but not the administrator's own: who deactivates himself asks nothing more."""
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    try:
        found = [await connection.fetch(f"SELECT id FROM {table} ORDER BY id LIMIT 6") for table in TABLES]
        own = await connection.fetchval("SELECT id FROM users WHERE email = $1", ADMIN)
    finally:
        await connection.close()
    return [str(row["id"]) for rows in found for row in rows if row["id"] != own]


@pytest.fixture(scope="module")
async def site(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server as on the internet, with a company of its own, and no bound on how much one caller may ask."""
    await seed.write(settings, Demo(PEOPLE, 15, date(2026, 1, 1), 24, date(2026, 11, 1), accounts=True))
    KNOWN_IDS[:] = await known_ids(settings)
    log = tmp_path_factory.mktemp("fuzzing") / "log"
    with (
        serving(log, environment(settings, COST_PER_MINUTE=UNLIMITED)) as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        site = Site(client)
        yield site
        for (whose, outcome), count in sorted(site.outcomes.items()):
            print(f"\n{whose}: {count:5} {outcome}", end="")  # noqa: T201 - what a person who fuzzes wants to know
        errors = [line for line in running.logged() if line.get("level") in {"error", "critical"}]
        assert errors == [], "what the server logs as an error is one, whatever it answered"


def with_variables(document: str, root: GraphQLObjectType) -> tuple[str, dict[str, Any]]:
    """The same call with the root field's arguments as variables, which are read by another path than literals.

    Pages are brought within their bounds here, since a list of random ones is nearly always BAD_REQUEST.
    """
    (operation,) = (each for each in parse(document).definitions if isinstance(each, OperationDefinitionNode))
    (call,) = (each for each in operation.selection_set.selections if isinstance(each, FieldNode))
    known = root.fields[call.name.value].args
    variables = {each.name.value: value_from_ast_untyped(each.value) for each in call.arguments or ()}
    if not variables or not variables.keys() <= known.keys():
        return document, {}  # an invented argument has no type
    variables |= {name: 1 + variables[name] % 20 for name in PAGES if isinstance(variables.get(name), int)}
    declarations = ", ".join(f"${name}: {known[name].type}" for name in variables)
    arguments = ", ".join(f"{name}: ${name}" for name in variables)
    selection = print_ast(call.selection_set) if call.selection_set else ""
    return f"{operation.operation.value} ({declarations}) {{ {call.name.value}({arguments}) {selection} }}", variables


def fuzz(site: Site, label: str, whose: str, examples: int) -> None:
    kind = label.partition(".")[0]
    root = cast("GraphQLObjectType", SCHEMA.client_schema.get_type(kind))
    mode = GenerationMode.NEGATIVE if whose == WRONG else GenerationMode.POSITIVE

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=not ASKED,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=OPERATIONS[label].as_strategy(generation_mode=mode), apart=strategies.booleans())
    def ask(case: Any, apart: bool) -> None:
        document, variables = with_variables(case.body, root) if apart else (case.body, {})
        hypothesis.note(f"{document}\nvariables: {variables}")
        site.ask(document, variables, whose)

    site.sign_in()
    ask()


@pytest.mark.parametrize("label", OPERATIONS)
class TestInvented:
    def test_documents_of_an_administrator_get_a_proper_answer(self, site: Site, label: str) -> None:
        fuzz(site, label, ADMINISTRATOR, EXAMPLES)

    def test_wrong_documents_get_a_proper_answer(self, site: Site, label: str) -> None:
        fuzz(site, label, WRONG, EXAMPLES)

    def test_documents_of_a_stranger_get_a_proper_answer(self, site: Site, label: str) -> None:
        fuzz(site, label, STRANGER, max(2, EXAMPLES // 3))


def test_the_fuzzing_gets_beyond_the_refusals(site: Site) -> None:
    """Stands last: documents that are all refused at the door would find nothing."""
    outcomes = {code: count for (whose, code), count in site.outcomes.items() if whose == ADMINISTRATOR}
    assert outcomes["answered"] > sum(outcomes.values()) / 2
