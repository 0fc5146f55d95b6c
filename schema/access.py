"""Signing in, invitations and API tokens as GraphQL shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, ProblemsAsData, shown
from schema.idempotency import Idempotent
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import mutation, public, query, signed_in
from schema.refs import UserRef
from schema.writes import Writes
from server.access import service as access
from server.access.models import ApiTokenRow
from server.access.repository import ApiTokenOrder
from server.access.service import Session, api_tokens
from server.access.service.grants import known
from server.actor import Permission, Scope
from server.errors import NotFound
from server.users import repository as users
from server.users.models import UserRow

described(
    ApiTokenOrder,
    "How a list of API tokens is ordered.",
    {
        "CREATED_AT": "The newest first.",
        "NAME": "By name, without regard to case.",
        "EXPIRES_AT": "By when they expire, the soonest first.",
    },
)


@strawberry.type(description="A tool's credential: it acts as its service user, limited to its scopes.")
class ApiToken:
    id: UUID = strawberry.field(description="The token's id.")
    name: str = strawberry.field(description="What it is for.")
    hint: str = strawberry.field(description="Its first characters, to tell tokens apart; the rest is not kept.")
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime = strawberry.field(description="When it stops working by itself.")
    last_used_at: datetime | None = strawberry.field(description="Last use, to the minute; null when never used.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null when it was not.")

    @strawberry.field(description="The permissions that it is limited to.")
    def scopes(self, parent: strawberry.Parent[ApiTokenRow]) -> list[Permission]:
        return list(known(dict.fromkeys(parent.scopes, Scope.ALL)))

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The service user that it acts as.")

    created_by: UserRef | None = strawberry.field(
        resolver=to_user("created_by_id"), description="Who created it; null for the server itself."
    )


@strawberry.input(description="Which API tokens: all that is given must hold.")
class ApiTokenFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these service users.")
    usable: bool | None = strawberry.field(
        default=None, description="True: neither revoked nor expired. False: one of the two."
    )


@strawberry.interface(description="What signing in and refreshing answer: tokens, and how long they live.")
class Tokens(Payload):
    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer ...`; it says who you are for `expiresIn` seconds."
    )
    refresh_token: str | None = strawberry.field(
        default=None, description="Give it to `refresh` for new tokens. It works once: a second use ends the session."
    )
    token_type: str = strawberry.field(default="bearer", description="How to send the access token.")
    expires_in: int | None = strawberry.field(default=None, description="The access token's life in seconds.")
    must_change_password: bool = strawberry.field(
        default=False, description="Whether `passwordChange` has to come before anything else."
    )


@strawberry.type(description="The answer of `login`.")
class LoginPayload(Tokens):
    pass


@strawberry.type(description="The answer of `refresh`.")
class RefreshPayload(Tokens):
    pass


@strawberry.type(description="The answer of `logout`.")
class LogoutPayload(Payload):
    signed_out: bool = strawberry.field(default=True, description="The session is over, also when it was before.")


@strawberry.type(description="The answer of `passwordChange`.")
class PasswordChangePayload(Payload):
    user: UserRef | None = strawberry.field(default=None, description="You; null when the password did not change.")


@strawberry.type(description="The answer of `invitationAccept`.")
class InvitationAcceptPayload(Payload):
    email: str | None = strawberry.field(
        default=None, description="The user name to sign in with; null when the invitation was not accepted."
    )


@strawberry.type(description="The answer of `userInvite`.")
class UserInvitePayload(Payload):
    user: UserRef | None = strawberry.field(default=None, description="Whom the link is for.")
    link: str | None = strawberry.field(
        default=None, description="Hand it to the person: it lets them set a password, once. It is not shown again."
    )
    token: str | None = strawberry.field(
        default=None, description="The secret in the link, for programs that call `invitationAccept` themselves."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When the link stops working.")


@strawberry.type(description="The answer of `apiTokenCreate`.")
class ApiTokenCreatePayload(Payload):
    api_token: ApiToken | None = strawberry.field(default=None, description="The new token's facts.")
    secret: str | None = strawberry.field(
        default=None, description="The token itself, to send as `Authorization: Bearer ...`. It is not shown again."
    )


@strawberry.type(description="The answer of `apiTokenRevoke`.")
class ApiTokenRevokePayload(Payload):
    api_token: ApiToken | None = strawberry.field(default=None, description="The token, revoked.")


@strawberry.input(description="Who signs in.")
class LoginInput:
    username: str = strawberry.field(description="The e-mail address, in any letter case.")
    password: str = strawberry.field(description="The password.")


@strawberry.input(description="Which session goes on.")
class RefreshInput:
    refresh_token: str = strawberry.field(description="The newest refresh token of the session.")


@strawberry.input(description="Which session ends.")
class LogoutInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="A refresh token of the session; without one, the caller's own session ends."
    )


@strawberry.input(description="A new password for the caller.")
class PasswordChangeInput:
    current_password: str = strawberry.field(description="The password until now.")
    new_password: str = strawberry.field(description="The password from now on. All other sessions end.")


@strawberry.input(description="Accepting an invitation.")
class InvitationAcceptInput:
    token: str = strawberry.field(description="The secret in the link, behind `#invitation=`.")
    password: str = strawberry.field(description="The password to sign in with from now on.")


@strawberry.input(description="Whom to invite.")
class UserInviteInput:
    user_id: UUID = strawberry.field(description="An active person with an e-mail address. Earlier links stop working.")


@strawberry.input(description="A new API token.")
class ApiTokenCreateInput:
    name: str = strawberry.field(description="What it is for, 1 to 100 characters.")
    scopes: list[Permission] = strawberry.field(description="What it may do: only what you may yourself, for all data.")
    days: int = strawberry.field(default=90, description="How many days it lives, 1 to 366.")
    service_user_id: UUID | None = strawberry.field(
        default=None, description="The service user that it acts as; a new one when left out."
    )


@strawberry.input(description="Which API token to revoke.")
class ApiTokenRevokeInput(Idempotent):
    id: UUID = strawberry.field(description="The token's id.")


@strawberry.type
class Queries:
    @strawberry.field(description="Who is calling.", extensions=[signed_in()], graphql_type=UserRef)
    async def me(self, info: Info) -> UserRow:
        user_id = info.context.signed_in.user_id
        async with info.context.reads.light() as connection:
            found = await users.light_by_ids(connection, [user_id] if user_id else [])
        if not found:
            raise NotFound("The caller is not a person.")
        return found[0]

    @query(
        Permission.TOKENS_WRITE,
        description="API tokens, the newest first unless asked otherwise. Reading them is written to the audit log.",
        graphql_type=Page[ApiToken],
    )
    async def api_tokens(
        self,
        info: Info,
        filter: Annotated[ApiTokenFilter | None, strawberry.argument(description="Which tokens.")] = None,
        order_by: Annotated[
            ApiTokenOrder, strawberry.argument(description="In which order.")
        ] = ApiTokenOrder.CREATED_AT,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[ApiTokenRow]:
        offset, limit = window(page, size)
        chosen = filter or ApiTokenFilter()
        user_ids, usable = chosen.user_ids, chosen.usable
        async with info.context.transaction() as tx:
            rows = await api_tokens.page(
                tx, user_ids=user_ids, usable=usable, order=order_by, offset=offset, limit=limit
            )
        return Page(
            items=list(rows),
            page=page,
            size=size,
            count=lambda: api_tokens.count(info.context.reads, user_ids=user_ids, usable=usable),
        )


@strawberry.type
class Mutations:
    @strawberry.mutation(
        description="Sign in. Wrong credentials are an UNAUTHENTICATED error, too many tries a RATE_LIMITED one.",
        extensions=[public(), ProblemsAsData(), Writes(again=False)],
    )
    async def login(self, info: Info, input: LoginInput) -> LoginPayload:
        context = info.context
        session = await access.login(context.database, context.settings, input.username, input.password, context.origin)
        return LoginPayload(**_tokens(session))

    @strawberry.mutation(
        description="Exchange a refresh token for new tokens; the old one has then been used up.",
        extensions=[public(), ProblemsAsData(), Writes(again=False)],
    )
    async def refresh(self, info: Info, input: RefreshInput) -> RefreshPayload:
        context = info.context
        session = await access.refresh(context.database, context.settings, input.refresh_token, context.origin)
        return RefreshPayload(**_tokens(session))

    @strawberry.mutation(
        description="End a session: its tokens stop working within 5 seconds everywhere.",
        extensions=[public(), ProblemsAsData(), Writes(again=False)],
    )
    async def logout(self, info: Info, input: LogoutInput) -> LogoutPayload:
        context = info.context
        caller = context.signed_in if input.refresh_token is None else None
        await access.logout(context.database, context.origin, input.refresh_token, caller)
        if context.authenticator is not None and caller is not None:
            context.authenticator.forget(caller.user_id)
        return LogoutPayload()

    @strawberry.mutation(
        description="Set the password by which an invited person signs in from now on.",
        extensions=[public(), ProblemsAsData(), Writes(again=False)],
    )
    async def invitation_accept(self, info: Info, input: InvitationAcceptInput) -> InvitationAcceptPayload:
        context = info.context
        user = await access.accept_invitation(
            context.database, context.settings, input.token, input.password, context.origin
        )
        return InvitationAcceptPayload(email=user.email)

    @strawberry.mutation(
        description="Change your own password; all your other sessions end.",
        extensions=[signed_in(), ProblemsAsData(), Writes(again=False)],
    )
    async def password_change(self, info: Info, input: PasswordChangeInput) -> PasswordChangePayload:
        context = info.context
        user = await access.change_password(
            context.database, context.settings, context.signed_in, input.current_password, input.new_password
        )
        if context.authenticator is not None:
            context.authenticator.forget(user.id)
        return PasswordChangePayload(user=shown(user))

    @mutation(
        Permission.USERS_WRITE,
        description="Make a one-time link by which a person sets a password.",
        keeps_answer=False,
    )
    async def user_invite(self, info: Info, input: UserInviteInput) -> UserInvitePayload:
        async with info.context.transaction() as tx:
            made = await access.invite(tx, info.context.settings, input.user_id)
        return UserInvitePayload(user=shown(made.user), link=made.link, token=made.token, expires_at=made.expires_at)

    @mutation(
        Permission.TOKENS_WRITE,
        description="Make an API token for a tool; its secret is shown once.",
        keeps_answer=False,
    )
    async def api_token_create(self, info: Info, input: ApiTokenCreateInput) -> ApiTokenCreatePayload:
        async with info.context.transaction() as tx:
            row, secret = await access.create_api_token(tx, input.name, input.scopes, input.days, input.service_user_id)
        return ApiTokenCreatePayload(api_token=shown(row), secret=secret)

    @mutation(Permission.TOKENS_WRITE, description="Revoke an API token: it stops working within 5 seconds everywhere.")
    async def api_token_revoke(self, info: Info, input: ApiTokenRevokeInput) -> ApiTokenRevokePayload:
        async with info.context.transaction() as tx:
            return ApiTokenRevokePayload(api_token=shown(await access.revoke_api_token(tx, input.id)))


def _tokens(session: Session) -> dict[str, Any]:
    return {
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "expires_in": session.expires_in,
        "must_change_password": session.user.must_change_password,
    }
