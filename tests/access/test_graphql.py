"""Signing in, invitations and API tokens through GraphQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.access.models import ApiTokenRow
from server.access.service import access_tokens
from server.actor import Actor, Permission
from server.database import Database
from server.settings import Settings
from server.users.models import UserRow, UserStatus
from tests.access.people import PASSWORD, PASSWORD_HASH, actions, audited, just_now, person, read_user
from tests.conftest import Execute, Statements
from tests.factories import Factory, actor, admin

LOGIN = """mutation($input: LoginInput!) { login(input: $input) {
  accessToken refreshToken tokenType expiresIn mustChangePassword problems { code } } }"""
REFRESH = "mutation($input: RefreshInput!) { refresh(input: $input) { accessToken refreshToken } }"
LOGOUT = "mutation($input: LogoutInput!) { logout(input: $input) { signedOut problems { code } } }"
CHANGE = """mutation($input: PasswordChangeInput!) { passwordChange(input: $input) {
  user { id } problems { code errors { path code } } } }"""
INVITE = """mutation($input: UserInviteInput!) { userInvite(input: $input) {
  user { id } link token expiresAt problems { code errors { path } } } }"""
ACCEPT = """mutation($input: InvitationAcceptInput!) { invitationAccept(input: $input) {
  email problems { code errors { path code } } } }"""
CREATE = """mutation($input: ApiTokenCreateInput!) { apiTokenCreate(input: $input) {
  secret apiToken { id name hint scopes user { lastName isService } createdBy { id } lastUsedAt revokedAt }
  problems { code errors { path } } } }"""
REVOKE = """mutation($input: ApiTokenRevokeInput!) { apiTokenRevoke(input: $input) {
  apiToken { id revokedAt } problems { code errors { path } } } }"""
LIST = """query($filter: ApiTokenFilter, $size: Int! = 200) { apiTokens(filter: $filter, size: $size) {
  items { id name user { id } createdBy { id } } total } }"""
CREDENTIALS = {"username": "ada@example.test", "password": PASSWORD}


async def test_sign_in_refresh_and_sign_out(graphql: Execute, make: Factory, settings: Settings) -> None:
    user = await person(make)
    signed_in = (await graphql(None, LOGIN, input=CREDENTIALS))["login"]
    assert access_tokens.read(settings, signed_in["accessToken"]).user_id == user.id
    assert (signed_in["tokenType"], signed_in["expiresIn"], signed_in["mustChangePassword"]) == ("bearer", 1800, False)
    refreshed = (await graphql(None, REFRESH, input={"refreshToken": signed_in["refreshToken"]}))["refresh"]
    ended = await graphql(None, LOGOUT, input={"refreshToken": refreshed["refreshToken"]})
    assert ended["logout"] == {"signedOut": True, "problems": []}
    [error] = await graphql(None, REFRESH, errors=True, input={"refreshToken": refreshed["refreshToken"]})
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_the_caller_s_own_session_ends_without_a_refresh_token(
    graphql: Execute, make: Factory, settings: Settings
) -> None:
    user = await person(make)
    signed_in = (await graphql(None, LOGIN, input=CREDENTIALS))["login"]
    caller = Actor(user.id, session_id=access_tokens.read(settings, signed_in["accessToken"]).session_id)
    await graphql(caller, LOGOUT, input={})
    await graphql(None, REFRESH, errors=True, input={"refreshToken": signed_in["refreshToken"]})
    [error] = await graphql(None, LOGOUT, errors=True, input={})
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_wrong_credentials_are_a_top_level_error(graphql: Execute, make: Factory, database: Database) -> None:
    await person(make)
    [error] = await graphql(None, LOGIN, errors=True, input={**CREDENTIALS, "password": "wrong"})
    assert (error["extensions"]["code"], error["extensions"]["status"]) == ("UNAUTHENTICATED", 401)
    for _ in range(4):
        await graphql(None, LOGIN, errors=True, input={**CREDENTIALS, "password": "wrong"})
    await just_now(database)
    [error] = await graphql(None, LOGIN, errors=True, input=CREDENTIALS)
    assert (error["extensions"]["code"], error["extensions"]["retryAfter"]) == ("RATE_LIMITED", 1)


async def test_me_is_whoever_calls(graphql: Execute, make: Factory) -> None:
    user = await person(make, must_change_password=True)
    data = await graphql(Actor(user.id, must_change_password=True), "{ me { id email } }")
    assert data == {"me": {"id": str(user.id), "email": "ada@example.test"}}
    [error] = await graphql(None, "{ me { id } }", errors=True)
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_changing_the_password(graphql: Execute, make: Factory, settings: Settings, database: Database) -> None:
    user = await person(make, must_change_password=True)
    signed_in = (await graphql(None, LOGIN, input=CREDENTIALS))["login"]
    assert signed_in["mustChangePassword"] is True
    caller = Actor(
        user.id,
        session_id=access_tokens.read(settings, signed_in["accessToken"]).session_id,
        must_change_password=True,
    )
    data = await graphql(caller, CHANGE, input={"currentPassword": PASSWORD, "newPassword": "short"})
    assert data["passwordChange"]["user"] is None
    [problem] = data["passwordChange"]["problems"]
    assert problem["errors"] == [
        {"path": ["newPassword"], "code": "PASSWORD_TOO_SHORT"},
        {"path": ["newPassword"], "code": "PASSWORD_TOO_SIMPLE"},
    ]
    assert (await read_user(database, user)).password_hash == PASSWORD_HASH
    data = await graphql(caller, CHANGE, input={"currentPassword": PASSWORD, "newPassword": "Vent-de-travers-19"})
    assert data["passwordChange"] == {"user": {"id": str(user.id)}, "problems": []}
    [error] = await graphql(None, CHANGE, errors=True, input={"currentPassword": "a", "newPassword": "b"})
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_inviting_and_accepting(graphql: Execute, make: Factory) -> None:
    boss = actor(Permission.USERS_WRITE, user=await make.user())
    user = await make.user(email="new@example.test", status=UserStatus.INVITED)
    made = (await graphql(boss, INVITE, input={"userId": str(user.id)}))["userInvite"]
    assert made["user"] == {"id": str(user.id)}
    assert made["link"].endswith(f"#invitation={made['token']}")
    bad = await graphql(None, ACCEPT, input={"token": "unknown", "password": PASSWORD})
    assert bad["invitationAccept"] == {
        "email": None,
        "problems": [{"code": "LINK_NOT_VALID", "errors": [{"path": ["token"], "code": "LINK_NOT_VALID"}]}],
    }
    good = await graphql(None, ACCEPT, input={"token": made["token"], "password": PASSWORD})
    assert good["invitationAccept"] == {"email": "new@example.test", "problems": []}
    await graphql(None, LOGIN, input={"username": "new@example.test", "password": PASSWORD})


async def test_making_and_revoking_an_api_token(graphql: Execute, make: Factory, database: Database) -> None:
    boss = await make.user()
    caller = actor(Permission.TOKENS_WRITE, Permission.PLANNING_READ, user=boss)
    made = (await graphql(caller, CREATE, input={"name": "Power BI", "scopes": ["PLANNING_READ"], "days": 30}))[
        "apiTokenCreate"
    ]
    token = made["apiToken"]
    assert made["secret"].startswith(token["hint"])
    assert (token["scopes"], token["user"]) == (["PLANNING_READ"], {"lastName": "Power BI", "isService": True})
    assert (token["createdBy"], token["lastUsedAt"], token["revokedAt"]) == ({"id": str(boss.id)}, None, None)
    listed = (await graphql(caller, LIST, filter={"usable": True}))["apiTokens"]
    assert (listed["total"], [item["id"] for item in listed["items"]]) == (1, [token["id"]])
    revoked = (await graphql(caller, REVOKE, input={"id": token["id"]}))["apiTokenRevoke"]
    assert revoked["apiToken"]["revokedAt"] is not None
    assert (await graphql(caller, LIST, filter={"usable": True}))["apiTokens"]["total"] == 0
    assert (await graphql(caller, LIST, filter={"usable": False}))["apiTokens"]["total"] == 1
    assert (await actions(database)).count("api_tokens.read") == 3


async def test_a_token_beyond_one_s_own_rights_is_a_problem(
    graphql: Execute, make: Factory, database: Database
) -> None:
    caller = actor(Permission.TOKENS_WRITE, user=await make.user())
    made = await graphql(caller, CREATE, input={"name": "x", "scopes": ["ROLES_WRITE"], "days": 30})
    assert made["apiTokenCreate"]["apiToken"] is None
    assert made["apiTokenCreate"]["problems"] == [
        {"code": "PERMISSION_NOT_HELD", "errors": [{"path": ["scopes", "0"]}]}
    ]
    assert await actions(database) == ["access.refused"]


GUARDED = [
    (CREATE, {"input": {"name": "x", "scopes": ["PLANNING_READ"], "days": 1}}),
    (REVOKE, {"input": {"id": "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10"}}),
    (INVITE, {"input": {"userId": "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10"}}),
    (LIST, {}),
]


@pytest.mark.parametrize(("document", "variables"), GUARDED)
async def test_without_the_permission_nothing_happens(
    graphql: Execute, make: Factory, database: Database, document: str, variables: dict[str, Any]
) -> None:
    [error] = await graphql(None, document, errors=True, **variables)
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    [error] = await graphql(actor(Permission.PLANNING_READ, user=await make.user()), document, errors=True, **variables)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert {entry.action for entry in await audited(database)} == {"access.refused"}


async def test_tokens_come_in_the_order_that_is_asked_for(graphql: Execute, make: Factory) -> None:
    boss, tool, now = await make.user(), await make.user(is_service=True), datetime.now(UTC)
    for name, days in (("b", 3), ("C", 1), ("a", 2)):
        ends = now + timedelta(days=days)
        facts = {"name": name, "token_hash": name, "hint": "pdc_", "scopes": ["planning:read"], "expires_at": ends}
        await make.add(ApiTokenRow(user_id=tool.id, created_by_id=boss.id, **facts))

    async def names(arguments: str) -> list[str]:
        data = await graphql(admin(boss), f"{{ apiTokens({arguments}) {{ items {{ name }} }} }}")
        return [item["name"] for item in data["apiTokens"]["items"]]

    assert await names("page: 1") == await names("orderBy: CREATED_AT") == ["a", "C", "b"]
    assert await names("orderBy: NAME") == ["a", "b", "C"]
    assert await names("orderBy: EXPIRES_AT") == ["C", "a", "b"]


async def many_tokens(make: Factory, boss: UserRow, count: int) -> None:
    for number in range(count):
        tool = await make.user(is_service=True)
        await make.add(
            ApiTokenRow(
                user_id=tool.id,
                name=f"tool {number}",
                token_hash=f"{tool.id}",
                hint="pdc_",
                scopes=["planning:read"],
                created_by_id=boss.id,
                expires_at=datetime.now(UTC) + timedelta(days=1),
            )
        )


async def test_the_number_of_statements_does_not_grow_with_the_list(
    graphql: Execute, make: Factory, statements: Statements
) -> None:
    boss = await make.user()
    await many_tokens(make, boss, 10)
    statements.clear()
    assert len((await graphql(admin(boss), LIST))["apiTokens"]["items"]) == 10
    few = len(statements)
    await many_tokens(make, boss, 190)
    statements.clear()
    assert len((await graphql(admin(boss), LIST))["apiTokens"]["items"]) == 200
    assert len(statements) == few
