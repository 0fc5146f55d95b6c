"""/api/v1/auth/*: the REST door to signing in, thin over server/access/service; errors are RFC 7807 problems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from server.access import repository
from server.access import service as access
from server.access.service import Session
from server.authentication import Authenticator, origin_of
from server.database import Database
from server.errors import BadRequest, Failure, Forbidden, Problem, Unauthenticated
from server.problems import DATABASE_AWAY, is_database_away, problem_response
from server.settings import Settings
from server.users.models import UserRow

PREFIX = "/api/v1/auth"
COOKIE = "plancharge_refresh"
MAX_BODY = 16_384
MAX_FIELDS = 20
_TRUE = {"true", "1", "on", "yes"}


class _Unreadable(Failure):
    """A body that cannot be read, with the status that says why."""

    code, title = "BAD_REQUEST", "The request is not valid"


class _TooLarge(_Unreadable):
    code, title, status = "BODY_TOO_LARGE", "The request is too large", 413


class _Unsupported(_Unreadable):
    code, title, status = "UNSUPPORTED_MEDIA_TYPE", "The request is in a format that is not read here", 415


@dataclass(frozen=True, slots=True)
class _Edge:
    """What a route finds on the application."""

    database: Database
    settings: Settings
    authenticator: Authenticator

    @classmethod
    def of(cls, request: Request) -> _Edge:
        state = request.app.state
        return cls(state.database, state.settings, state.authenticator)


def routes() -> list[Route]:
    return [
        Route(f"{PREFIX}/login", _guarded(login), methods=["POST"]),
        Route(f"{PREFIX}/refresh", _guarded(refresh), methods=["POST"]),
        Route(f"{PREFIX}/logout", _guarded(logout), methods=["POST"]),
        Route(f"{PREFIX}/me", _guarded(me), methods=["GET"]),
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Expected failures as problems, nothing kept by caches, and no request from a page of another site."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            _refuse_other_sites(request)
            response = await endpoint(request)
        except Failure as failure:
            response = _problem(request, failure)
        except Exception as error:
            if not is_database_away(error):
                raise
            response = _problem(request, DATABASE_AWAY)
        response.headers["cache-control"] = "no-store"
        return response

    return answer


def _problem(request: Request, failure: Failure) -> Response:
    request_id = getattr(request.state, "request_id", None)
    problem: Problem = failure.problem
    if request_id:
        problem = replace(problem, instance=f"urn:request:{request_id}")
    return problem_response(problem, retry_after=failure.retry_after)


def _refuse_other_sites(request: Request) -> None:
    """A form on another site could sign a visitor in as someone else. Programs send neither of these headers."""
    settings: Settings = request.app.state.settings
    origin = request.headers.get("origin")
    if origin in settings.cors_origins:
        return
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Forbidden("Requests from pages of other sites are refused; list the site in CORS_ORIGINS to admit it.")


async def login(request: Request) -> Response:
    edge = _Edge.of(request)
    given = await _fields(request)
    username, password = given.get("username"), given.get("password")
    if not isinstance(username, str) or not isinstance(password, str):
        raise BadRequest("Send the form fields `username` and `password`.")
    session = await access.login(edge.database, edge.settings, username, password, origin_of(request))
    return _answer(edge.settings, session, cookie=str(given.get("use_cookie", "")).lower() in _TRUE)


async def refresh(request: Request) -> Response:
    edge = _Edge.of(request)
    token, from_cookie = await _refresh_token(request)
    if token is None:
        raise BadRequest("Send the refresh token as `refresh_token`, or the cookie that login has set.")
    try:
        session = await access.refresh(edge.database, edge.settings, token, origin_of(request))
    except Unauthenticated as failure:
        response = _problem(request, failure)
        return _without_cookie(response) if from_cookie else response
    return _answer(edge.settings, session, cookie=from_cookie)


async def logout(request: Request) -> Response:
    """Ends the session of the refresh token, of the cookie, or else of the access token."""
    edge = _Edge.of(request)
    token, _ = await _refresh_token(request)
    actor, origin = None, origin_of(request)
    if token is None:
        actor = await edge.authenticator.actor(request.headers.get("authorization"), origin)
        if actor is None:
            raise Unauthenticated("Send the refresh token as `refresh_token`, or the access token as a bearer token.")
    await access.logout(edge.database, origin, token, actor)
    if actor is not None:
        edge.authenticator.forget(actor.user_id)
    return _without_cookie(Response(status_code=204))


async def me(request: Request) -> Response:
    edge = _Edge.of(request)
    actor = await edge.authenticator.actor(request.headers.get("authorization"), origin_of(request))
    if actor is None or actor.user_id is None:
        raise Unauthenticated("Send an access token as `Authorization: Bearer ...`.")
    async with edge.database.reads.session() as session:
        user = await session.get_one(UserRow, actor.user_id)
        roles = await repository.role_names(session, actor.user_id)
    grants = sorted(actor.grants.items())
    return JSONResponse(
        {
            "id": str(user.id),
            "email": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "roles": list(roles),
            "permissions": [{"permission": name.value, "scope": scope.name.lower()} for name, scope in grants],
            "is_superuser": actor.is_superuser,
            "must_change_password": actor.must_change_password,
        }
    )


def _answer(settings: Settings, session: Session, *, cookie: bool) -> Response:
    body: dict[str, Any] = {"access_token": session.access_token}
    if not cookie:
        body["refresh_token"] = session.refresh_token
    body |= {
        "token_type": "bearer",  # nosec B105
        "expires_in": session.expires_in,
        "must_change_password": session.user.must_change_password,
    }
    response = JSONResponse(body)
    if cookie:
        response.set_cookie(
            COOKIE,
            session.refresh_token,
            max_age=session.refresh_expires_in,
            path=PREFIX,
            secure=urlsplit(settings.public_url).scheme == "https",
            httponly=True,
            samesite="strict",
        )
    return response


def _without_cookie(response: Response) -> Response:
    response.delete_cookie(COOKIE, path=PREFIX, httponly=True, samesite="strict")
    return response


async def _refresh_token(request: Request) -> tuple[str | None, bool]:
    """(token, whether it came by cookie). The body wins; a browser sends the cookie along with everything."""
    token = (await _fields(request)).get("refresh_token")
    if token is not None:
        if not isinstance(token, str):
            raise BadRequest("`refresh_token` must be a string.")
        return token, False
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None, False
    if request.headers.get("x-requested-with") != "plancharge":
        # SameSite=Strict stops other sites; this stops other applications of the same site, and older browsers.
        raise Forbidden("With the cookie, send the header `X-Requested-With: plancharge` too.")
    return cookie, True


async def _fields(request: Request) -> Mapping[str, Any]:
    """The fields of a form or of a JSON object; none without a body."""
    limited = Request(request.scope, _limited(request))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        try:
            async with limited.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY) as form:
                return dict(form)
        except (HTTPException, ValueError):  # ValueError: bytes that are not UTF-8
            raise BadRequest("The form cannot be read.") from None
    body = await limited.body()
    if not body:
        return {}
    if kind != "application/json":
        raise _Unsupported("Send a form (application/x-www-form-urlencoded) or application/json.")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object.")
    return data


def _limited(request: Request) -> Callable[[], Awaitable[Message]]:
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise _TooLarge(f"Send at most {MAX_BODY} bytes.")
        return message

    return receive
