"""PayFit: who works here, under which contract, at what rate, and when they are away. Reads only.

The records have no field for social-security, bank or birth data, so that what PayFit sends of them is never kept.
Shapes: PayFit's developer pages and public clients; see README.md for what is documented and what was only observed.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

import httpx
from pydantic import AliasChoices, Field, TypeAdapter

from clients.errors import Cause, Unauthorized
from clients.http import ProviderClient, RetryPolicy, Timeouts
from clients.pages import STRICT_CAMEL, ExternalId, IsoDate, Page, Rate, Record, parse_records
from clients.rate_limit import TokenBucket

API_URL = "https://partner-api.payfit.com"
OAUTH_URL = "https://oauth.payfit.com"
REQUIRED_SCOPES = frozenset(
    {
        "collaborators:read",
        "collaborators:contracts:read",
        "collaborators:management:read",
        "contracts:read",
        "time:read",
    }
)
LARGEST_PAGE = 50


class Moment(StrEnum):
    """Where in a day an absence starts or ends."""

    BEGINNING_OF_DAY = "beginning-of-day"
    MIDDLE_OF_DAY = "middle-of-day"
    END_OF_DAY = "end-of-day"


class AbsenceStatus(StrEnum):
    """The state of an absence; ALL is a filter only."""

    APPROVED = "approved"
    PENDING_APPROVAL = "pending_approval"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    PENDING_CANCELLATION = "pending_cancellation"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Introspection:
    """What a key may do, and for which company."""

    active: bool
    scopes: frozenset[str]
    company_id: str | None


# repr=False keeps names, addresses and absence types (health data) out of logs that print a record by mistake.
@dataclass(frozen=True, slots=True)
class Email:
    """An address of a collaborator; `type` is professional, personal or unknown."""

    __pydantic_config__ = STRICT_CAMEL
    email: str = field(repr=False)
    type: str = "unknown"


@dataclass(frozen=True, slots=True)
class ContractReference:
    """A contract as a collaborator's record lists it."""

    __pydantic_config__ = STRICT_CAMEL
    id: ExternalId
    start_date: IsoDate | None = None
    end_date: IsoDate | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Collaborator:
    """A person whom the company employs or employed."""

    __pydantic_config__ = STRICT_CAMEL
    id: ExternalId
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    matricule: str | None = field(default=None, repr=False)
    manager_id: ExternalId | None = None
    team_name: str | None = None
    termination_date: IsoDate | None = None
    emails: tuple[Email, ...] = field(default=(), repr=False)
    contracts: tuple[ContractReference, ...] = ()

    @property
    def professional_email(self) -> str | None:
        """None where PayFit knows only a personal address: that one is not ours to use."""
        return next((one.email for one in self.emails if one.type == "professional"), None)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as it is today: PayFit serves only the present full-time equivalent (1 = full time)."""

    __pydantic_config__ = STRICT_CAMEL
    contract_id: Annotated[ExternalId, Field(validation_alias=AliasChoices("contractId", "id"))]
    collaborator_id: ExternalId
    start_date: IsoDate
    end_date: IsoDate | None = None
    job_name: str | None = None
    status: str | None = None
    standard_weekly_hours: Annotated[Decimal, Field(ge=0, le=168)] | None = None
    full_time_equivalent: Rate | None = None
    is_full_time: bool | None = None
    working_time_modality: str | None = None

    def __post_init__(self) -> None:
        if self.end_date is not None and self.end_date < self.start_date:
            raise ValueError("the contract ends before it starts")


@dataclass(frozen=True, slots=True)
class HalfDay:
    """A day and where in it."""

    __pydantic_config__ = STRICT_CAMEL
    date: IsoDate
    moment: Moment


@dataclass(frozen=True, slots=True)
class Absence:
    """An absence under a contract (not of a collaborator: join through the contracts)."""

    __pydantic_config__ = STRICT_CAMEL
    id: ExternalId
    contract_id: ExternalId
    type: str = field(repr=False)
    status: AbsenceStatus
    start_date: HalfDay
    end_date: HalfDay

    def __post_init__(self) -> None:
        order = list(Moment)
        start, end = ((half.date, order.index(half.moment)) for half in (self.start_date, self.end_date))
        if end <= start:
            raise ValueError("the absence ends before it starts")


COLLABORATOR = TypeAdapter(Collaborator)
CONTRACT = TypeAdapter(Contract)
ABSENCE = TypeAdapter(Absence)


class PayFit(ProviderClient):
    """A customer key's company in PayFit.

    Its limit is 50 reads a second for the whole application; the default bucket lets through at most 45 in any second.
    """

    provider: ClassVar[str] = "PayFit"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: str,
        api_url: str = API_URL,
        oauth_url: str = OAUTH_URL,
        company_id: str | None = None,
        required_scopes: frozenset[str] = REQUIRED_SCOPES,
        page_size: int = LARGEST_PAGE,
        rate_limit: TokenBucket | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        request_id: str | None = None,
    ) -> None:
        if not 1 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"PayFit's page size goes from 1 to {LARGEST_PAGE}, not {page_size}.")
        super().__init__(
            http,
            api_key=api_key,
            rate_limit=rate_limit or TokenBucket(rate=35, burst=10),
            retry=retry,
            timeouts=timeouts,
            request_id=request_id,
        )
        self._api_key = api_key
        self._api_url = api_url
        self._oauth_url = oauth_url
        self._company_id = company_id
        self._required_scopes = required_scopes
        self._page_size = page_size

    async def introspect(self) -> Introspection:
        """Ask PayFit about the key. Unauthorized when it is inactive or lacks a required scope, with those named.

        Sets the company that the other calls read, unless one was given; they call this first when nobody did.
        """
        path, endpoint = "/introspect", "POST /introspect"
        answer = await self._call("POST", self._oauth_url, path, body={"token": self._api_key}, repeatable=True)
        scope = answer.get("scope") or ""
        scopes = frozenset(
            scope.split() if isinstance(scope, str) else map(str, scope) if isinstance(scope, list) else ()
        )
        company_id = answer.get("company_id")
        if answer.get("active") is not True:
            message = "PayFit says that the key is not active; create a new one and configure it."
            raise self._error(Unauthorized, message, endpoint, Cause.TOKEN_INACTIVE, 200)
        if missing := sorted(self._required_scopes - scopes):
            message = f"The PayFit key lacks {', '.join(missing)}; create one with these scopes and configure it."
            error = self._error(Unauthorized, message, endpoint, Cause.SCOPE_MISSING, 200)
            error.missing_scopes = tuple(missing)
            raise error
        if not isinstance(company_id, str) or not company_id:
            raise self._unreadable(endpoint, "names no company")
        self._company_id = self._company_id or company_id
        return Introspection(active=True, scopes=scopes, company_id=company_id)

    def collaborators(self, *, token: str | None = None) -> AsyncIterator[Page[Collaborator]]:
        """Everybody, page by page; `token` resumes after the page that gave it."""
        return self._pages("collaborators", "collaborators", COLLABORATOR, {}, token)

    def contracts(self, *, french: bool = False, token: str | None = None) -> AsyncIterator[Page[Contract]]:
        """Contracts that are running or ended less than about a year ago: a missing one is no reason to delete.

        `french` reads the French variant, the only one that tells `working_time_modality`.
        """
        return self._pages("contracts-fr" if french else "contracts", "contracts", CONTRACT, {}, token)

    def absences(
        self,
        begin: date,
        end: date,
        *,
        status: AbsenceStatus = AbsenceStatus.APPROVED,
        contract_id: str | None = None,
        token: str | None = None,
    ) -> AsyncIterator[Page[Absence]]:
        """Absences that touch the days from `begin` to `end`, both included. PayFit has no updated-since filter."""
        params = {"status": status.value, "beginDate": begin.isoformat(), "endDate": end.isoformat()}
        if contract_id is not None:
            params["contractId"] = contract_id
        return self._pages("absences", "absences", ABSENCE, params, token)

    async def _pages(
        self, path: str, key: str, adapter: TypeAdapter[Record], params: Mapping[str, str], token: str | None
    ) -> AsyncIterator[Page[Record]]:
        if self._company_id is None:
            await self.introspect()
        assert self._company_id is not None
        path = f"/companies/{{companyId}}/{path}"
        endpoint = f"GET {path}"
        ids = {"companyId": self._company_id}
        seen = {token}
        while True:
            query = {**params, "maxResults": str(self._page_size)} | ({"nextPageToken": token} if token else {})
            answer = await self._call("GET", self._api_url, path, ids=ids, params=query, repeatable=True)
            records, meta = answer.get(key), answer.get("meta")
            if not isinstance(records, list):
                raise self._unreadable(endpoint, f"has no list of {key}")
            if not isinstance(meta, dict):
                if len(records) >= self._page_size:
                    # Taken for the last page, it would pass for a whole list.
                    raise self._unreadable(endpoint, "does not tell the next page")
                meta = {}
            items, refused = parse_records(adapter, records)
            token, total = meta.get("nextPageToken") or None, meta.get("count")
            if token is not None and (not isinstance(token, str) or token in seen):
                # Going on would read the same page for ever, and stopping quietly would pass for a whole list.
                raise self._unreadable(endpoint, "repeats a page token", Cause.REPEATED_PAGE)
            seen.add(token)
            yield Page(items, refused, token, total if isinstance(total, int) else None)
            if token is None:
                return
