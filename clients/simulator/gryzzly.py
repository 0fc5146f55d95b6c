"""Gryzzly's RPC API, simulated."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clients.simulator.company import Declaration, Project, Task, User
from clients.simulator.provider import BadArgumentError, Limit, Provider, Wire, broken, error_as_json
from clients.simulator.scenarios import Control

LARGEST_LIMIT = 500
Select = Callable[[Wire], Sequence[Any]]
# What a list's second record is given by the scenario malformed-absence.
BROKEN: dict[str, tuple[str, object]] = {
    "users": ("name", None),
    "projects": ("name", None),
    "tasks": ("project_id", None),
    "declarations": ("duration", "7h"),
}


def gryzzly_app(control: Control, *, limit: Limit | None = None) -> Starlette:
    """An ASGI application that answers as Gryzzly under /v1; 50 requests per 10 s by default."""
    provider = GryzzlyProvider(control, limit or Limit(50, 10.0))
    lists = (provider.users, provider.projects, provider.tasks, provider.declarations)
    return Starlette(
        routes=[Route(f"/v1/{one.__name__}.list", one, methods=["POST"]) for one in lists],
        exception_handlers={HTTPException: error_as_json},
    )


class GryzzlyProvider(Provider):
    """The shapes, filters and offsets of Gryzzly."""

    def too_many(self, headers: dict[str, str]) -> Response:
        return JSONResponse({"message": "Too Many Requests"}, 429, headers={"Retry-After": "1"} | headers)

    async def users(self, request: Request) -> Response:
        return await self._list(request, "users", lambda _: self.control.company.users, _user)

    async def projects(self, request: Request) -> Response:
        return await self._list(request, "projects", lambda _: self.control.company.projects, _project)

    async def tasks(self, request: Request) -> Response:
        def select(arguments: Wire) -> Sequence[Task]:
            wanted = set(_ids(arguments, "project_ids"))
            return [task for task in self.control.company.tasks if task.project_id in wanted]

        return await self._list(request, "tasks", select, _task)

    async def declarations(self, request: Request) -> Response:
        def select(arguments: Wire) -> Sequence[Declaration]:
            begin, end = _date(arguments, "from"), _date(arguments, "to")
            declarations = self.control.company.declarations
            return [
                declaration
                for user_id in _ids(arguments, "user_ids")
                for declaration in declarations.get(user_id, ())
                if begin <= declaration.date <= end
            ]

        return await self._list(request, "declarations", select, _declaration)

    async def _list(self, request: Request, kind: str, select: Select, render: Callable[[Any], Wire]) -> Response:
        endpoint = f"POST /{kind}.list"
        scenario = self.control.scenario

        async def respond() -> Response:
            arguments = _arguments(await request.body())
            limit = min(_number(arguments, "limit", 100), LARGEST_LIMIT)
            size, offset = min(limit, scenario.largest_limit), _number(arguments, "offset", 0)
            if limit < 1:
                raise BadArgumentError("limit must be at least 1")
            filters = {name: value for name, value in arguments.items() if name not in ("limit", "offset")}
            records = self.selected((kind, json.dumps(filters, sort_keys=True)), lambda: select(arguments))
            start = limit if scenario.repeats and offset > limit else offset

            def body() -> Wire:
                data = [render(record) for record in records[start : start + size]]
                data = broken(data, *BROKEN[kind]) if scenario.malformed else data
                answer: Wire = {"data": data, "count": len(records), "limit": limit, "offset": offset}
                if not scenario.counted:
                    del answer["count"]
                return answer

            refused = self._refused_user(kind, arguments)
            return await self.page(request, endpoint, offset // size + 1, body, refused=refused)

        return await self.answer(request, endpoint, respond)

    def _refused_user(self, kind: str, arguments: Wire) -> Response | None:
        if kind != "declarations" or not self.control.scenario.refuses_disabled:
            return None
        disabled = {user.id for user in self.control.company.users if user.is_disabled}
        return None if disabled.isdisjoint(_ids(arguments, "user_ids")) else JSONResponse({"message": "Not Found"}, 404)


def _arguments(body: bytes) -> Wire:
    try:
        arguments = json.loads(body or b"{}")
    except ValueError as error:
        raise BadArgumentError("the body must be JSON") from error
    if not isinstance(arguments, dict):
        raise BadArgumentError("the body must be a JSON object")
    return arguments


def _number(arguments: Wire, name: str, default: int) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise BadArgumentError(f"{name} must be a whole number")
    return value


def _ids(arguments: Wire, name: str) -> list[str]:
    value = arguments.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadArgumentError(f"{name} must be a list of ids")
    return value


def _date(arguments: Wire, name: str) -> date:
    try:
        return date.fromisoformat(arguments.get(name, ""))
    except (TypeError, ValueError) as error:
        raise BadArgumentError(f"{name} must be a date such as 2026-03-31") from error


def _user(user: User) -> Wire:
    return {"id": user.id, "name": user.name, "email": user.email, "is_disabled": user.is_disabled, "role": user.role}


def _project(project: Project) -> Wire:
    return {
        "id": project.id,
        "name": project.name,
        "code": project.code,
        "customer_id": project.customer_id,
        "status": project.status,
    }


def _task(task: Task) -> Wire:
    return {
        "id": task.id,
        "project_id": task.project_id,
        "parent_id": task.parent_id,
        "name": task.name,
        "completed_at": _instant(task.completed_at),
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _declaration(declaration: Declaration) -> Wire:
    return {
        "id": declaration.id,
        "user_id": declaration.user_id,
        "task_id": declaration.task_id,
        "date": declaration.date.isoformat(),
        "duration": declaration.seconds,
        "description": declaration.description,
    }
