"""Reading PayFit: what a key may do, every list page by page, and what happens to records that cannot be read."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic_core import to_json
from starlette.responses import JSONResponse

from clients.errors import Cause, Rejected, Unauthorized
from clients.pages import Page, Refusal
from clients.payfit import (
    REQUIRED_SCOPES,
    Absence,
    AbsenceStatus,
    Collaborator,
    Contract,
    ContractReference,
    Email,
    HalfDay,
    Moment,
    PayFit,
)
from clients.simulator import Control, running
from clients.simulator import company as simulated
from tests.clients.conftest import TODAY, Answering, Simulated, items_of, read_all, read_until

ABSENCES = "GET /companies/{companyId}/absences"
BEGIN, END = TODAY - timedelta(days=90), TODAY + timedelta(days=400)


def absences(payfit: PayFit, **options: Any) -> AsyncIterator[Page[Absence]]:
    return payfit.absences(BEGIN, END, **options)


async def test_introspection_tells_the_company_and_the_scopes(payfit_server: Simulated) -> None:
    answer = await payfit_server.payfit().introspect()
    assert (answer.active, answer.company_id) == (True, payfit_server.control.company.id)
    assert answer.scopes == REQUIRED_SCOPES


async def test_an_inactive_key_is_unauthorized(payfit_server: Simulated) -> None:
    payfit_server.control.switch("token-inactive")
    with pytest.raises(Unauthorized, match="not active; create a new one") as caught:
        await payfit_server.payfit().introspect()
    assert caught.value.cause == Cause.TOKEN_INACTIVE


async def test_missing_scopes_are_named(payfit_server: Simulated) -> None:
    payfit_server.control.switch("missing-scope")
    payfit = payfit_server.payfit(required_scopes=REQUIRED_SCOPES | {"payslips:read"})
    with pytest.raises(Unauthorized) as caught:
        await payfit.introspect()
    assert caught.value.cause == Cause.SCOPE_MISSING
    assert caught.value.missing_scopes == ("payslips:read", "time:read")
    assert str(caught.value).startswith("The PayFit key lacks payslips:read, time:read; create one")


async def test_a_list_asks_about_the_key_first(payfit_server: Simulated) -> None:
    payfit_server.control.switch("missing-scope")
    with pytest.raises(Unauthorized):
        await read_all(payfit_server.payfit().collaborators())
    assert set(payfit_server.control.calls) == {"POST /introspect"}


async def test_a_scope_that_is_missing_all_the_same_answers_403(payfit_server: Simulated) -> None:
    payfit_server.control.switch("missing-scope")
    payfit = payfit_server.payfit(required_scopes=frozenset())
    assert len(await items_of(payfit.collaborators())) == 42
    _, error = await read_until(Unauthorized, absences(payfit))
    assert (error.status, error.cause, error.endpoint) == (403, Cause.FORBIDDEN, ABSENCES)


async def test_the_key_of_another_company_is_refused(payfit_server: Simulated) -> None:
    _, error = await read_until(Unauthorized, payfit_server.payfit(company_id="another").contracts())
    assert error.status == 403


async def test_pages_follow_each_other_to_the_last(payfit_server: Simulated) -> None:
    pages = await read_all(payfit_server.payfit(page_size=20).collaborators())
    assert [len(page.items) for page in pages] == [20, 20, 2]
    assert [page.total for page in pages] == [42, 42, 42]
    assert [page.next_token is None for page in pages] == [False, False, True]
    ids = [one.id for page in pages for one in page.items]
    assert ids == [one.id for one in payfit_server.control.company.collaborators]


async def test_a_token_resumes_after_its_page(payfit_server: Simulated) -> None:
    first = await anext(payfit_server.payfit(page_size=20).collaborators())
    rest = await items_of(payfit_server.payfit(page_size=20).collaborators(token=first.next_token))
    assert [one.id for one in rest] == [one.id for one in payfit_server.control.company.collaborators[20:]]


@pytest.mark.parametrize("size", [0, 51])
def test_a_page_size_that_payfit_would_refuse_is_refused_here(size: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 50"):
        PayFit(None, api_key="any", page_size=size)  # type: ignore[arg-type]


async def test_a_collaborator_is_read_whole_and_without_private_data(payfit_server: Simulated) -> None:
    company = payfit_server.control.company
    person = simulated.Collaborator(
        id="c-1",
        first_name="Zoé",
        last_name="Le Goff",
        email="zoe@exemple.test",
        personal_email="zoe@maison.test",
        matricule="M7",
        manager_id="c-0",
        team_name="Data",
        termination_date=date(2026, 12, 31),
    )
    contract = simulated.Contract("k-1", "c-1", date(2024, 1, 2), date(2026, 12, 31))
    payfit_server.control.company = replace(company, collaborators=[person], contracts=[contract])
    [collaborator] = await items_of(payfit_server.payfit().collaborators())
    assert collaborator == Collaborator(
        id="c-1",
        first_name="Zoé",
        last_name="Le Goff",
        matricule="M7",
        manager_id="c-0",
        team_name="Data",
        termination_date=date(2026, 12, 31),
        emails=(Email("zoe@exemple.test", "professional"), Email("zoe@maison.test", "personal")),
        contracts=(ContractReference("k-1", date(2024, 1, 2), date(2026, 12, 31), "ACTIVE"),),
    )
    assert collaborator.professional_email == "zoe@exemple.test"
    kept = to_json(collaborator).decode()
    for private in ("1900-01-01", "000000000000000", "FR0000"):  # what the simulator sends of everybody
        assert private not in kept
    for name in ("Zoé", "Le Goff", "zoe@", "M7"):
        assert name not in repr(collaborator)


async def test_a_personal_address_is_not_a_professional_one(payfit_server: Simulated) -> None:
    person = simulated.Collaborator("c-1", "Zoé", "Le Goff", personal_email="zoe@maison.test")
    payfit_server.control.company = replace(payfit_server.control.company, collaborators=[person])
    [collaborator] = await items_of(payfit_server.payfit().collaborators())
    assert collaborator.professional_email is None
    assert collaborator.contracts == ()


@pytest.mark.parametrize(("french", "modality"), [(False, None), (True, "forfait_jours")])
async def test_a_contract_is_read_with_its_rate(payfit_server: Simulated, french: bool, modality: str | None) -> None:
    contract = simulated.Contract(
        "k-1", "c-1", date(2024, 1, 2), None, "Consultante", Decimal("0.8"), Decimal(28), "forfait_jours"
    )
    payfit_server.control.company = replace(payfit_server.control.company, contracts=[contract])
    [read] = await items_of(payfit_server.payfit().contracts(french=french))
    assert read == Contract(
        contract_id="k-1",  # /contracts calls it contractId, /contracts-fr id
        collaborator_id="c-1",
        start_date=date(2024, 1, 2),
        job_name="Consultante",
        status="ACTIVE",
        standard_weekly_hours=Decimal(28),
        full_time_equivalent=Decimal("0.8"),
        is_full_time=False,
        working_time_modality=modality,
    )


async def test_an_absence_is_read_with_its_halves(payfit_server: Simulated) -> None:
    absence = simulated.Absence(
        "a-1", "k-1", "fr_rtt", date(2026, 12, 24), date(2026, 12, 28), "middle-of-day", "middle-of-day"
    )
    payfit_server.control.company = replace(payfit_server.control.company, absences=[absence])
    [read] = await items_of(absences(payfit_server.payfit()))
    assert read == Absence(
        id="a-1",
        contract_id="k-1",
        type="fr_rtt",
        status=AbsenceStatus.APPROVED,
        start_date=HalfDay(date(2026, 12, 24), Moment.MIDDLE_OF_DAY),
        end_date=HalfDay(date(2026, 12, 28), Moment.MIDDLE_OF_DAY),
    )
    assert "fr_rtt" not in repr(read)


async def test_absences_are_those_that_touch_the_window(payfit_server: Simulated) -> None:
    days = {
        "before": (1, 9),
        "into": (9, 10),
        "within": (11, 12),
        "out of": (20, 21),
        "after": (21, 22),
        "around": (1, 30),
    }
    payfit_server.control.company = replace(
        payfit_server.control.company,
        absences=[
            simulated.Absence(name, "k-1", "fr_rtt", date(2026, 11, first), date(2026, 11, last))
            for name, (first, last) in days.items()
        ],
    )
    read = await items_of(payfit_server.payfit().absences(date(2026, 11, 10), date(2026, 11, 20)))
    assert [one.id for one in read] == ["into", "within", "out of", "around"]


async def test_absences_are_approved_ones_unless_asked_otherwise(payfit_server: Simulated) -> None:
    payfit = payfit_server.payfit(page_size=50)
    approved = await items_of(absences(payfit))
    pending = await items_of(absences(payfit, status=AbsenceStatus.PENDING_APPROVAL))
    everything = await items_of(absences(payfit, status=AbsenceStatus.ALL))
    assert {one.status for one in approved} == {AbsenceStatus.APPROVED}
    assert {one.status for one in pending} == {AbsenceStatus.PENDING_APPROVAL}
    assert (len(approved), len(pending), len(everything)) == (101, 34, 168)


async def test_absences_of_one_contract(payfit_server: Simulated) -> None:
    contract = payfit_server.control.company.contracts[0].id
    read = await items_of(absences(payfit_server.payfit(), contract_id=contract, status=AbsenceStatus.ALL))
    assert [one.contract_id for one in read] == [contract] * 4


async def test_a_malformed_absence_is_refused_and_its_page_kept(payfit_server: Simulated) -> None:
    payfit_server.control.switch("malformed-absence")
    pages = await read_all(absences(payfit_server.payfit(page_size=50), status=AbsenceStatus.ALL))
    company = payfit_server.control.company
    assert [(len(page.items), len(page.refused)) for page in pages] == [(49, 1), (49, 1), (49, 1), (17, 1)]
    assert pages[0].refused == (Refusal(company.absences[1].id, "endDate.date: Field required"),)
    assert pages[0].items[1].id == company.absences[2].id


async def test_a_refusal_names_the_field_and_not_its_content(payfit_server: Simulated) -> None:
    payfit_server.control.switch("malformed-absence")
    people = (await read_all(payfit_server.payfit(page_size=50).collaborators()))[0]
    contracts = (await read_all(payfit_server.payfit(page_size=50).contracts()))[0]
    assert [one.reason for one in people.refused] == ["lastName: Field required"]
    assert [one.reason for one in contracts.refused] == ["startDate: Value error, a date is written as 2026-03-31"]
    assert contracts.refused[0].external_id == payfit_server.control.company.contracts[1].id


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((2, "beginning-of-day"), (1, "end-of-day")),
        ((1, "end-of-day"), (1, "beginning-of-day")),
        ((1, "middle-of-day"), (1, "middle-of-day")),
    ],
)
async def test_an_absence_that_ends_before_it_starts_is_refused(
    payfit_server: Simulated, start: tuple[int, str], end: tuple[int, str]
) -> None:
    absence = simulated.Absence(
        "a-1", "k-1", "fr_rtt", date(2026, 12, start[0]), date(2026, 12, end[0]), start[1], end[1]
    )
    payfit_server.control.company = replace(payfit_server.control.company, absences=[absence])
    [page] = await read_all(absences(payfit_server.payfit()))
    assert page.items == ()
    assert page.refused == (Refusal("a-1", "record: Value error, the absence ends before it starts"),)


async def test_a_rate_in_per_cent_is_refused(payfit_server: Simulated) -> None:
    contract = simulated.Contract("k-1", "c-1", date(2024, 1, 2), full_time_equivalent=Decimal(80))
    payfit_server.control.company = replace(payfit_server.control.company, contracts=[contract])
    [page] = await read_all(payfit_server.payfit().contracts())
    assert page.refused == (Refusal("k-1", "fullTimeEquivalent: Input should be less than or equal to 1"),)


async def test_a_repeated_page_token_ends_the_reading(payfit_server: Simulated) -> None:
    payfit_server.control.switch("repeated-token")
    pages, error = await read_until(Rejected, payfit_server.payfit().collaborators())
    assert len(pages) == 1  # page 2 leads to page 2: not yielded, since nothing after it can be whole
    assert error.cause == Cause.REPEATED_PAGE


async def test_a_token_that_payfit_does_not_know_is_rejected(payfit_server: Simulated) -> None:
    _, error = await read_until(Rejected, payfit_server.payfit().collaborators(token="unknown"))
    assert (error.status, error.cause) == (400, Cause.REFUSED)


async def test_without_a_count_the_pages_are_read_all_the_same(payfit_server: Simulated) -> None:
    payfit_server.control.switch("missing-count")
    pages = await read_all(payfit_server.payfit(page_size=20).collaborators())
    assert [(len(page.items), page.total) for page in pages] == [(20, None), (20, None), (2, None)]


async def test_a_page_that_is_not_json_is_rejected(payfit_server: Simulated) -> None:
    payfit_server.control.switch("not-json")
    pages, error = await read_until(Rejected, payfit_server.payfit().collaborators())
    assert (len(pages), error.cause) == (1, Cause.UNREADABLE)


async def test_contracts_that_ended_over_a_year_ago_are_not_listed(payfit_server: Simulated) -> None:
    ends = [None, TODAY, TODAY - timedelta(days=365), TODAY - timedelta(days=366)]
    contracts = [simulated.Contract(f"k-{i}", "c-1", date(2020, 1, 1), end) for i, end in enumerate(ends)]
    payfit_server.control.company = replace(payfit_server.control.company, contracts=contracts)
    payfit = payfit_server.payfit()
    assert [one.contract_id for one in await items_of(payfit.contracts())] == ["k-0", "k-1", "k-2"]
    payfit_server.control.today = lambda: TODAY + timedelta(days=1)
    assert [one.contract_id for one in await items_of(payfit.contracts())] == ["k-0", "k-1"]


async def test_records_vanish_when_the_scenario_says_so(payfit_server: Simulated) -> None:
    payfit = payfit_server.payfit(page_size=50)
    before = {one.id for one in await items_of(payfit.collaborators())}
    ended = [one for one in await items_of(payfit.contracts()) if one.end_date]
    payfit_server.control.switch("vanishing-records")
    assert len(before - {one.id for one in await items_of(payfit.collaborators())}) == 4
    assert len(ended) == 2
    assert [one for one in await items_of(payfit.contracts()) if one.end_date] == []


@pytest.mark.parametrize("answer", [{}, {"collaborators": None}, {"collaborators": [1, 2, 3, 4, 5]}])
async def test_an_answer_without_its_list_or_its_next_page_is_rejected(
    answer: dict[str, object], http: httpx.AsyncClient, control: Control
) -> None:
    async with running(Answering(JSONResponse(answer)).app) as url:
        _, error = await read_until(Rejected, Simulated(url, control, http).payfit(company_id="c").collaborators())
    assert error.cause == Cause.UNREADABLE


async def test_a_key_without_a_company_is_rejected(http: httpx.AsyncClient, control: Control) -> None:
    answer = {"active": True, "scope": sorted(REQUIRED_SCOPES)}
    async with running(Answering(JSONResponse(answer)).app) as url:
        with pytest.raises(Rejected, match="names no company"):
            await Simulated(url, control, http).payfit().introspect()


async def test_midnight_is_a_date_and_another_time_is_refused(http: httpx.AsyncClient, control: Control) -> None:
    starts = ["2026-03-31T00:00:00.000Z", "2026-03-31T22:00:00Z", 20543]
    contracts = [{"id": f"k-{i}", "collaboratorId": "c-1", "startDate": start} for i, start in enumerate(starts)]
    async with running(Answering(JSONResponse({"contracts": contracts})).app) as url:
        [page] = await read_all(Simulated(url, control, http).payfit(company_id="c").contracts())
    assert page.items == (Contract("k-0", "c-1", date(2026, 3, 31)),)
    assert [one.external_id for one in page.refused] == ["k-1", "k-2"]
