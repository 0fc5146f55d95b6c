"""Gryzzly: which projects and tasks exist, and who declared how much time on them. Reads only, though by POST."""

import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, ClassVar

import httpx
from pydantic import Field, TypeAdapter

from clients.errors import Cause, Rejected
from clients.http import ProviderClient, RetryPolicy, Timeouts
from clients.pages import STRICT, ExternalId, IsoDate, Page, Record, parse_records
from clients.rate_limit import TokenBucket

API_URL = "https://api.gryzzly.io/v1"


# repr=False keeps names, addresses and free text out of logs that print a record by mistake.
@dataclass(frozen=True, slots=True)
class User:
    """A person who declares time; Gryzzly has one string for the whole name."""

    __pydantic_config__ = STRICT
    id: ExternalId
    name: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    is_disabled: bool = False
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project; `status` is active or done."""

    __pydantic_config__ = STRICT
    id: ExternalId
    name: str
    code: str | None = None
    customer_id: ExternalId | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A node of a project's tree of tasks; `parent_id` is None at its roots."""

    __pydantic_config__ = STRICT
    id: ExternalId
    project_id: ExternalId
    name: str
    parent_id: ExternalId | None = None
    completed_at: datetime | IsoDate | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """Time that a user declared on a task on a day; `seconds` is Gryzzly's `duration`. The project is the task's."""

    __pydantic_config__ = STRICT
    id: ExternalId
    user_id: ExternalId
    task_id: ExternalId
    date: IsoDate
    seconds: Annotated[int, Field(alias="duration", ge=0)]
    description: str | None = field(default=None, repr=False)


USER = TypeAdapter(User)
PROJECT = TypeAdapter(Project)
TASK = TypeAdapter(Task)
DECLARATION = TypeAdapter(Declaration)


class Gryzzly(ProviderClient):
    """A company's account in Gryzzly.

    50 requests per 10 s are reported as its limit; the default bucket lets through at most 48 in any 10 s. The largest
    page is not known (500 and 1000 are both reported): `limit` is ours to choose.
    """

    provider: ClassVar[str] = "Gryzzly"

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: str,
        api_url: str = API_URL,
        limit: int = 200,
        ids_per_call: int = 50,
        rate_limit: TokenBucket | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        request_id: str | None = None,
    ) -> None:
        """`ids_per_call`: how many users, or projects, one call for declarations, or tasks, asks about."""
        if limit < 1 or ids_per_call < 1:
            raise ValueError("limit and ids_per_call are at least 1.")
        super().__init__(
            http,
            api_key=api_key,
            rate_limit=rate_limit or TokenBucket(rate=4, burst=8),
            retry=retry,
            timeouts=timeouts,
            request_id=request_id,
        )
        self._api_url = api_url
        self._limit = limit
        self._ids_per_call = ids_per_call

    def users(self, *, token: str | None = None) -> AsyncIterator[Page[User]]:
        """Everybody, page by page, disabled users included; `token` (an offset) resumes after the page that gave it."""
        return self._list("/users.list", USER, token)

    def projects(self, *, token: str | None = None) -> AsyncIterator[Page[Project]]:
        """All projects, active and done; `token` (an offset) resumes after the page that gave it."""
        return self._list("/projects.list", PROJECT, token)

    def tasks(self, project_ids: Sequence[str], *, token: str | None = None) -> AsyncIterator[Page[Task]]:
        """The tasks of these projects; `token` resumes only with the same projects in the same order."""
        return self._list_by_ids("/tasks.list", TASK, "project_ids", project_ids, {}, token, skip_not_found=False)

    def declarations(
        self, user_ids: Sequence[str], begin: date, end: date, *, token: str | None = None
    ) -> AsyncIterator[Page[Declaration]]:
        """What these users declared from `begin` to `end`, both included.

        Gryzzly may answer 404 for a disabled user: a refused call is split until that user stands alone, who is then
        named in `Page.skipped`. `token` resumes only with the same users in the same order.
        """
        window = {"from": begin.isoformat(), "to": end.isoformat()}
        return self._list_by_ids(
            "/declarations.list", DECLARATION, "user_ids", user_ids, window, token, skip_not_found=True
        )

    async def _list(self, path: str, adapter: TypeAdapter[Record], token: str | None) -> AsyncIterator[Page[Record]]:
        offset: int | None = int(token) if token else 0
        previous: object = None
        while offset is not None:
            page, offset, previous = await self._page(path, adapter, {}, offset, previous)
            yield page if offset is None else replace(page, next_token=str(offset))

    async def _list_by_ids(
        self,
        path: str,
        adapter: TypeAdapter[Record],
        key: str,
        ids: Sequence[str],
        arguments: Mapping[str, object],
        token: str | None,
        *,
        skip_not_found: bool,
    ) -> AsyncIterator[Page[Record]]:
        """Ranges of `ids`, each read to its end by offsets. A token is "start:stop:offset:fingerprint of the ids"."""
        mark = f"{zlib.crc32(chr(0).join(ids).encode()):08x}"
        start, stop, offset = _resume(token, mark)
        ranges = deque([(start, stop)] if stop > start else [])
        ranges.extend((at, min(at + self._ids_per_call, len(ids))) for at in range(stop, len(ids), self._ids_per_call))
        previous: object = None
        while ranges:
            start, stop = ranges[0]
            page: Page[Record]
            following: int | None
            try:
                body = {**arguments, key: list(ids[start:stop])}
                page, following, previous = await self._page(path, adapter, body, offset, previous)
            except Rejected as error:
                if not skip_not_found or error.cause is not Cause.NOT_FOUND:
                    raise
                offset, previous = 0, None
                if stop - start > 1:
                    middle = (start + stop) // 2
                    ranges.popleft()
                    ranges.extendleft([(middle, stop), (start, middle)])
                    continue
                page, following = Page((), skipped=(ids[start],)), None
            if following is None:
                ranges.popleft()
                offset, previous = 0, None
            else:
                offset = following
            yield replace(page, next_token=f"{ranges[0][0]}:{ranges[0][1]}:{offset}:{mark}") if ranges else page

    async def _page(
        self, path: str, adapter: TypeAdapter[Record], arguments: Mapping[str, object], offset: int, previous: object
    ) -> tuple[Page[Record], int | None, object]:
        """A page, the offset after it (None at the end), and its first record, to notice a page that repeats."""
        body = {**arguments, "limit": self._limit, "offset": offset}
        answer = await self._call("POST", self._api_url, path, body=body, repeatable=True)
        records, count, limit = answer.get("data"), answer.get("count"), answer.get("limit")
        endpoint = f"POST {path}"
        if not isinstance(records, list):
            raise self._unreadable(endpoint, "has no list of data")
        if records and (records[0] == previous or answer.get("offset", offset) != offset):
            raise self._unreadable(endpoint, "repeats a page", Cause.REPEATED_PAGE)
        items, refused = parse_records(adapter, records)
        total = count if isinstance(count, int) else None
        # By what came, not by what was asked for: a limit that Gryzzly lowers by itself must not skip records.
        following: int | None = offset + len(records)
        if total is None:
            whole_page = min(self._limit, limit) if isinstance(limit, int) and limit > 0 else self._limit
            following = following if len(records) >= whole_page else None
        elif offset + len(records) >= total:
            following = None
        elif not records:
            # Ending here would pass for a list read whole, and what is missing from such a list gets removed.
            raise self._unreadable(endpoint, "is an empty page before the count is reached")
        return Page(items, refused, None, total), following, records[0] if records else None


def _resume(token: str | None, mark: str) -> tuple[int, int, int]:
    """Where a token left off: the range's start and stop, and the offset in it."""
    if token is None:
        return 0, 0, 0
    start, stop, offset, token_mark = token.split(":")
    if token_mark != mark:
        raise ValueError("This token belongs to another list of ids; start again without it.")
    return int(start), int(stop), int(offset)
