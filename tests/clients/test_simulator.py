"""What the simulators send over the wire, the company that they serve, and the differences that can be put into it."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.simulator import (
    DIFFERENCES,
    SCENARIOS,
    Company,
    Control,
    Limit,
    company_from_json,
    company_to_json,
    example_company,
    gryzzly_app,
    payfit_app,
    running,
    sample_company,
    serve,
    with_differences,
)
from tests.clients.conftest import TODAY, Simulated

KEY = {"Authorization": "Bearer simulated-key"}
ROOT = Path(__file__).parents[2]


def companies(server: Simulated, path: str) -> str:
    return f"{server.url}/companies/{server.control.company.id}/{path}"


async def test_payfit_gives_ten_records_a_page_by_default(payfit_server: Simulated) -> None:
    answer = await payfit_server.http.get(companies(payfit_server, "contracts"), headers=KEY)
    body = answer.json()
    assert (answer.status_code, len(body["contracts"]), body["meta"]["count"]) == (200, 10, 44)
    assert answer.headers["X-RateLimit-Limit-Second"] == "10000"
    following = {"nextPageToken": body["meta"]["nextPageToken"]}
    second = await payfit_server.http.get(companies(payfit_server, "contracts"), headers=KEY, params=following)
    assert second.json()["contracts"][0] != body["contracts"][0]


@pytest.mark.parametrize(
    "params",
    [
        {"maxResults": "51"},
        {"maxResults": "0"},
        {"maxResults": "many"},
        {"status": "maybe"},
        {"beginDate": "23/11/2026"},
        {"nextPageToken": "?"},
    ],
)
async def test_payfit_answers_400_to_wrong_arguments(payfit_server: Simulated, params: dict[str, str]) -> None:
    answer = await payfit_server.http.get(companies(payfit_server, "absences"), headers=KEY, params=params)
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


async def test_payfit_limits_the_reads_of_a_second_as_documented(control: Control, http: httpx.AsyncClient) -> None:
    async with running(payfit_app(control, limit=Limit(3, 60.0))) as url:
        answers = [await http.post(f"{url}/introspect", headers=KEY, json={"token": "simulated-key"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining-Second"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[3].json() == {"message": "API rate limit exceeded"}
    assert "Retry-After" not in answers[3].headers


async def test_gryzzly_limits_with_retry_after(control: Control, http: httpx.AsyncClient) -> None:
    async with running(gryzzly_app(control, limit=Limit(1, 60.0))) as url:
        answers = [await http.post(f"{url}/v1/users.list", headers=KEY, json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["Retry-After"] == "1"


async def test_gryzzly_is_read_by_post_only(gryzzly_server: Simulated) -> None:
    answer = await gryzzly_server.http.get(f"{gryzzly_server.url}/v1/users.list", headers=KEY)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json() == {"message": "Method Not Allowed"}


async def test_an_unknown_path_is_404_and_a_missing_key_401(gryzzly_server: Simulated) -> None:
    unknown = await gryzzly_server.http.post(f"{gryzzly_server.url}/v1/customers.list", headers=KEY, json={})
    keyless = await gryzzly_server.http.post(f"{gryzzly_server.url}/v1/users.list", json={})
    assert (unknown.status_code, keyless.status_code) == (404, 401)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users.list", "not json"),
        ("users.list", "[]"),
        ("users.list", '{"limit": 0}'),
        ("users.list", '{"offset": -1}'),
        ("tasks.list", "{}"),
        ("declarations.list", '{"user_ids": []}'),
        ("declarations.list", '{"user_ids": [], "from": "2026-11-01", "to": "tomorrow"}'),
    ],
)
async def test_gryzzly_answers_400_to_wrong_arguments(gryzzly_server: Simulated, path: str, body: str) -> None:
    answer = await gryzzly_server.http.post(f"{gryzzly_server.url}/v1/{path}", headers=KEY, content=body)
    assert answer.status_code == 400


async def test_gryzzly_gives_at_most_500_records_and_says_so(gryzzly_server: Simulated) -> None:
    users = list(gryzzly_server.control.company.users) * 20
    gryzzly_server.control.company = replace(gryzzly_server.control.company, users=users)
    answer = await gryzzly_server.http.post(f"{gryzzly_server.url}/v1/users.list", headers=KEY, json={"limit": 1000})
    body = answer.json()
    assert (len(body["data"]), body["limit"], body["offset"], body["count"]) == (500, 500, 0, 840)


async def test_a_simulator_serves_clients_without_a_socket_too(control: Control) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=gryzzly_app(control))) as http:
        server = Simulated("http://gryzzly.invalid", control, http)
        page = await anext(server.gryzzly().users())
    assert len(page.items) == 5


def test_the_same_seed_makes_the_same_company() -> None:
    first, second = (sample_company(7, 20, 5, TODAY) for _ in range(2))
    assert company_to_json(first) == company_to_json(second)
    assert company_to_json(first) != company_to_json(sample_company(8, 20, 5, TODAY))


def test_the_sample_has_as_many_of_everything_as_asked() -> None:
    company = sample_company(1, people=100, projects=6, today=TODAY, declared_days=25)
    assert (len(company.collaborators), len(company.users), len(company.projects), len(company.tasks)) == (
        100,
        100,
        6,
        24,
    )
    assert sum(len(declarations) for declarations in company.declarations.values()) == 2500
    assert len({one.id for declarations in company.declarations.values() for one in declarations}) == 2500
    assert len({one.email for one in company.collaborators}) == 100
    assert {one.date.weekday() for one in company.declarations[company.users[0].id]} == {0, 1, 2, 3, 4}


def test_half_a_million_declarations_are_made_only_when_asked_for() -> None:
    company = sample_company(1, people=2_000, projects=6, today=TODAY, declared_days=250)
    user = company.users[0].id
    assert len(company.declarations) * len(company.declarations[user]) == 500_000
    assert company.declarations[user] == company.declarations[user]
    assert company.declarations[user] is not company.declarations[user]


def test_a_company_goes_through_json() -> None:
    company = example_company()
    document = json.loads(json.dumps(company_to_json(company)))
    again = company_from_json(document)
    assert company_to_json(again) == document
    assert set(document) == {field.name for field in fields(Company)}


def changed(before: Company, after: Company) -> dict[str, int]:
    """How many entries of each list are not in the other company's."""
    counts = {}
    for field in fields(Company):
        old, new = company_to_json(before)[field.name], company_to_json(after)[field.name]
        if old != new:
            old, new = (list(map(json.dumps, one.values() if isinstance(one, dict) else one)) for one in (old, new))
            counts[field.name] = len(set(old) ^ set(new))
    return counts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("married-name", {"collaborators": 2}),
        ("other-email", {"users": 2}),
        ("no-professional-email", {"collaborators": 2}),
        ("plain-name", {"users": 2}),
        ("part-time-now", {"contracts": 2}),
        ("contract-ended", {"collaborators": 2, "contracts": 2}),
        ("disabled-user", {"users": 2}),
        ("moved-absence", {"absences": 2}),
        ("half-day-absence", {"absences": 2}),
        ("cancelled-absence", {"absences": 2}),
        ("requested-absence", {"absences": 1}),
        ("telework", {"absences": 1}),
        ("renamed-project", {"projects": 2}),
        ("finished-project", {"projects": 2}),
        ("new-project", {"projects": 1, "tasks": 1}),
        ("late-declaration", {"declarations": 2}),
        ("new-hire", {"collaborators": 1, "contracts": 1, "users": 1}),
        ("only-in-gryzzly", {"users": 1, "declarations": 1}),
        ("only-in-payfit", {"users": 1}),
        ("missing-in-payfit", {"collaborators": 1, "contracts": 1, "absences": 4}),
    ],
)
def test_a_difference_changes_only_what_it_says(name: str, expected: dict[str, int]) -> None:
    before = sample_company(1, 20, 4, TODAY)
    after = with_differences(before, TODAY, [name])
    assert changed(before, after) == expected
    assert DIFFERENCES[name].description.endswith(".")


def test_every_difference_is_tried_above() -> None:
    [mark] = test_a_difference_changes_only_what_it_says.pytestmark  # type: ignore[attr-defined]
    assert [name for name, _ in mark.args[1]] == list(DIFFERENCES)


def test_all_differences_go_together() -> None:
    before = sample_company(1, 20, 4, TODAY)
    after = with_differences(before, TODAY)
    assert changed(before, after)["collaborators"] == 2 + 2 + 2 + 1 + 1
    assert with_differences(before, TODAY) == after


@pytest.mark.parametrize(
    ("people", "projects", "names", "message"),
    [
        (15, 4, None, "at least 16 people"),
        (16, 3, None, "at least 4 projects"),
        (16, 4, ["no-such"], "No difference is called no-such"),
    ],
)
def test_differences_refuse_what_they_cannot_work_on(people: int, projects: int, names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_differences(sample_company(1, people, projects, TODAY), TODAY, names)


def test_every_scenario_says_what_happens() -> None:
    asked_for = {
        "normal",
        "token-revoked-midway",
        "page-7-fails-three-times",
        "page-7-fails-forever",
        "malformed-absence",
    }
    asked_for |= {"slow-page", "rate-limited", "repeated-token", "missing-scope", "vanishing-records", "missing-count"}
    assert asked_for <= set(SCENARIOS)
    assert all(scenario.description.endswith(".") for scenario in SCENARIOS.values())


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="there are normal, token-revoked-midway"):
        Control(example_company()).switch("no-such")
    with pytest.raises(ValueError, match="there are payfit, gryzzly"):
        serve("no-such", 0)


def test_a_simulator_runs_by_hand(tmp_path: Path) -> None:
    company = tmp_path / "company.json"
    company.write_text(json.dumps(company_to_json(sample_company(1, 3, 1, TODAY))))
    command = [sys.executable, "-m", "clients.simulator", "gryzzly", "--port", "0", "--scenario", "missing-count"]
    with subprocess.Popen([*command, "--company", company], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            # Port 0 takes a free one, and uvicorn says which.
            address = next(found[0] for line in process.stderr if (found := re.search(r"http://127[.0-9]+:\d+", line)))
            answer = httpx.post(f"{address}/v1/users.list", headers=KEY, json={"limit": 2})
        finally:
            process.terminate()
            process.stderr.read()
    assert process.returncode == -signal.SIGTERM
    assert {name: value for name, value in answer.json().items() if name != "data"} == {"limit": 2, "offset": 0}
    assert len(answer.json()["data"]) == 2


def test_the_clients_import_nothing_else_of_this_product() -> None:
    program = (
        "import sys, clients.payfit, clients.gryzzly, clients.simulator.__main__;"
        "ours = {'server', 'schema', 'execution', 'migrations'};"
        "print(*ours.intersection(name.partition('.')[0] for name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_readme_lists_every_scenario_and_difference_in_its_words() -> None:
    readme = (ROOT / "clients" / "README.md").read_text()
    described = {name: one.description for name, one in SCENARIOS.items()}
    described |= {name: one.description for name, one in DIFFERENCES.items()}
    for name, description in described.items():
        assert f"| `{name}` | {description} |" in readme
