"""PayFit's partner API and its OAuth introspection, simulated on one address."""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clients.simulator.company import Absence, Collaborator, Contract
from clients.simulator.provider import BadArgumentError, Limit, Provider, Wire, broken, error_as_json
from clients.simulator.scenarios import Control

SCOPES = (
    "collaborators:read",
    "collaborators:contracts:read",
    "collaborators:management:read",
    "contracts:read",
    "time:read",
)
STATUSES = {"approved", "pending_approval", "declined", "cancelled", "pending_cancellation", "all"}
# What a list's second record is given by the scenario malformed-absence.
BROKEN: dict[str, tuple[str, object]] = {
    "collaborators": ("lastName", None),
    "contracts": ("startDate", "31/12/2026"),
    "absences": ("endDate", {"moment": "end-of-day"}),
}


def payfit_app(control: Control, *, limit: Limit | None = None) -> Starlette:
    """An ASGI application that answers as PayFit, for `api_url` and `oauth_url` alike; 50 reads a second by default."""
    provider = PayFitProvider(control, limit or Limit(50, 1.0))
    company = "/companies/{company_id}"
    return Starlette(
        routes=[
            Route("/introspect", provider.introspect, methods=["POST"]),
            Route(f"{company}/collaborators", provider.collaborators),
            Route(f"{company}/contracts", provider.contracts),
            Route(f"{company}/contracts-fr", provider.contracts_fr),
            Route(f"{company}/absences", provider.absences),
        ],
        exception_handlers={HTTPException: error_as_json},
    )


class PayFitProvider(Provider):
    """The shapes, filters and tokens of PayFit."""

    def too_many(self, headers: dict[str, str]) -> Response:
        return JSONResponse({"message": "API rate limit exceeded"}, 429, headers=headers)

    def limit_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit-Second": str(self.limit.requests),
            "X-RateLimit-Remaining-Second": str(self.limit.remaining),
        }

    async def introspect(self, request: Request) -> Response:
        async def respond() -> Response:
            try:
                token = json.loads(await request.body())["token"]
            except (ValueError, TypeError, KeyError) as error:
                raise BadArgumentError("token is required") from error
            scenario = self.control.scenario
            if token != self.control.api_key or not scenario.active:
                return JSONResponse({"active": False})
            scopes = " ".join(scope for scope in SCOPES if scope != scenario.withheld_scope)
            return JSONResponse({"active": True, "scope": scopes, "company_id": self.control.company.id})

        return await self.answer(request, "POST /introspect", respond)

    async def collaborators(self, request: Request) -> Response:
        people = self.control.company.collaborators
        return await self._list(request, "collaborators", "collaborators", lambda: people, self._collaborators)

    async def contracts(self, request: Request) -> Response:
        return await self._list(request, "contracts", "contracts", self._visible_contracts, self._contracts)

    async def contracts_fr(self, request: Request) -> Response:
        return await self._list(request, "contracts-fr", "contracts", self._visible_contracts, self._french_contracts)

    async def absences(self, request: Request) -> Response:
        def select() -> Sequence[Absence]:
            status = query.get("status", "approved")
            if status not in STATUSES:
                raise BadArgumentError(f"status must be one of {', '.join(sorted(STATUSES))}")
            begin, end = _date(query.get("beginDate"), date.min), _date(query.get("endDate"), date.max)
            return [
                absence
                for absence in self.control.company.absences
                if absence.start_date <= end
                and absence.end_date >= begin
                and status in ("all", absence.status)
                and query.get("contractId", absence.contract_id) == absence.contract_id
            ]

        query = request.query_params
        return await self._list(request, "absences", "absences", select, self._absences)

    async def _list(
        self,
        request: Request,
        path: str,
        key: str,
        select: Callable[[], Sequence[Any]],
        render: Callable[[Sequence[Any]], list[Wire]],
    ) -> Response:
        endpoint = f"GET /companies/{{companyId}}/{path}"
        scenario = self.control.scenario

        async def respond() -> Response:
            if request.path_params["company_id"] != self.control.company.id:
                return JSONResponse({"error": "Forbidden"}, 403)
            size = _whole_number(request.query_params.get("maxResults", "10"))
            if not 1 <= size <= 50:
                raise BadArgumentError("maxResults must be between 1 and 50")
            offset = _offset(request.query_params.get("nextPageToken"))
            filters = sorted(
                item for item in request.query_params.items() if item[0] not in ("maxResults", "nextPageToken")
            )
            records = self.selected((path, tuple(filters), self.control.today()), select)
            following = offset + size if offset + size < len(records) else None
            if scenario.repeats and offset:
                following = size

            def body() -> Wire:
                page = render(records[offset : offset + size])
                meta: Wire = {"nextPageToken": None if following is None else _token(following), "count": len(records)}
                if not scenario.counted:
                    del meta["count"]
                return {key: broken(page, *BROKEN[key]) if scenario.malformed else page, "meta": meta}

            withheld = scenario.withheld_scope == "time:read" and path == "absences"
            refused = JSONResponse({"message": "Forbidden"}, 403) if withheld else None
            return await self.page(request, endpoint, offset // size + 1, body, refused=refused)

        return await self.answer(request, endpoint, respond)

    def _visible_contracts(self) -> Sequence[Contract]:
        """PayFit forgets a contract a year after its end."""
        oldest = date.max if self.control.scenario.vanishing else self.control.today() - timedelta(days=365)
        return [one for one in self.control.company.contracts if one.end_date is None or one.end_date >= oldest]

    def _collaborators(self, people: Sequence[Collaborator]) -> list[Wire]:
        wanted = {person.id for person in people}
        contracts: dict[str, list[Contract]] = defaultdict(list)
        for contract in self._visible_contracts():
            if contract.collaborator_id in wanted:
                contracts[contract.collaborator_id].append(contract)
        return [_collaborator(person, contracts[person.id]) for person in people]

    def _contracts(self, contracts: Sequence[Contract]) -> list[Wire]:
        return [{"contractId": one.id, **_contract(one)} for one in contracts]

    def _french_contracts(self, contracts: Sequence[Contract]) -> list[Wire]:
        modality = "workingTimeModality"
        return [{"id": one.id, **_contract(one), modality: one.working_time_modality} for one in contracts]

    def _absences(self, absences: Sequence[Absence]) -> list[Wire]:
        return [
            {
                "id": one.id,
                "contractId": one.contract_id,
                "type": one.type,
                "status": one.status,
                "startDate": {"date": one.start_date.isoformat(), "moment": one.start_moment},
                "endDate": {"date": one.end_date.isoformat(), "moment": one.end_moment},
            }
            for one in absences
        ]


def _collaborator(person: Collaborator, contracts: Sequence[Contract]) -> Wire:
    emails = [{"email": person.email, "type": "professional"}] if person.email else []
    emails += [{"email": person.personal_email, "type": "personal"}] if person.personal_email else []
    return {
        "id": person.id,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "matricule": person.matricule,
        "managerId": person.manager_id,
        "teamName": person.team_name,
        "terminationDate": _iso(person.termination_date),
        "emails": emails,
        "contracts": [
            {"id": one.id, "startDate": one.start_date.isoformat(), "endDate": _iso(one.end_date), "status": "ACTIVE"}
            for one in contracts
        ],
        # What a reader must not keep: the same for everybody, so that nobody's is made up.
        "birthDate": "1900-01-01",
        "socialSecurityNumber": "000000000000000",
        "iban": "FR0000000000000000000000000",
    }


def _contract(contract: Contract) -> Wire:
    return {
        "collaboratorId": contract.collaborator_id,
        "jobName": contract.job_name,
        "status": "ACTIVE",
        "startDate": contract.start_date.isoformat(),
        "endDate": _iso(contract.end_date),
        "standardWeeklyHours": float(contract.standard_weekly_hours),
        "fullTimeEquivalent": float(contract.full_time_equivalent),
        "isFullTime": contract.full_time_equivalent == 1,
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None, default: date) -> date:
    try:
        return default if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise BadArgumentError("beginDate and endDate must be dates such as 2026-03-31") from error


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise BadArgumentError("maxResults must be a whole number")
    return int(text)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"page@{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page@"))
    except ValueError as error:
        raise BadArgumentError("nextPageToken is not valid") from error
