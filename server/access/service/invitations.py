"""How people get their first password: by a one-time link, or from whoever sets the server up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.access import repository
from server.access.models import InvitationRow, UserRoleRow
from server.access.service import opaque
from server.access.service.grants import known, lacking
from server.access.service.passwords import set_password
from server.actor import Actor, Origin, Permission
from server.database import Database, Transaction
from server.errors import FieldError, invalid, refuse
from server.events import AccessChanged
from server.retries import retried
from server.settings import Settings
from server.users.models import UserRow, UserStatus


@dataclass(frozen=True, slots=True)
class Invitation:
    """What to hand on to the person: we send no mail."""

    user: UserRow
    token: str
    link: str
    expires_at: datetime


async def invite(tx: Transaction, settings: Settings, user_id: UUID) -> Invitation:
    """A link by which this person sets a password, the first or a forgotten one; earlier links stop working.

    Whoever makes the link could use it, so it is refused for people who may do more than the caller.
    """
    user = await repository.lock_user(tx.session, user_id)
    if user is None:
        raise refuse("UNKNOWN_ID", "There is no user with this id.", "userId")
    if not tx.actor.reaches_user(Permission.USERS_WRITE, user.id, user.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may not invite this user.", "userId")
    if not user.is_active or user.is_service or user.email is None:
        detail = "Only an active person with an e-mail address can be invited."
        raise invalid([FieldError(("userId",), "CANNOT_SIGN_IN", detail)])
    beyond = lacking(tx.actor, known(await repository.grants_of(tx.session, user.id)))
    if beyond or (user.is_superuser and not tx.actor.is_superuser):
        raise refuse("PERMISSION_NOT_HELD", "This user may do more than you: ask someone who may as much.", "userId")
    await repository.withdraw_invitations(tx.session, user.id)
    if user.password_hash is None and user.status is UserStatus.ACTIVE:
        user.status = UserStatus.INVITED
        user.version += 1
    token = opaque.new_token()
    expires_at = datetime.now(UTC) + timedelta(hours=settings.invitation_hours)
    tx.session.add(
        InvitationRow(
            user_id=user.id, token_hash=opaque.hashed(token), created_by_id=tx.actor.user_id, expires_at=expires_at
        )
    )
    await tx.audit("user.invited", "user", user.id, expires_at=expires_at)
    # Behind the #, the token reaches no server log and no Referer header.
    return Invitation(user, token, f"{settings.public_url.rstrip('/')}/#invitation={token}", expires_at)


@retried
async def accept_invitation(
    database: Database, settings: Settings, token: str, password: str, origin: Origin
) -> UserRow:
    """Sets the password and activates the account. The link works once; a refused password does not use it up."""
    async with database.transaction(Actor(None, origin=origin)) as tx:
        row = await repository.invitation(tx.session, opaque.hashed(token))
        user = await repository.lock_user(tx.session, row.user_id) if row else None
        valid = row is not None and row.used_at is None and row.expires_at > datetime.now(UTC)
        if row is None or user is None or not valid or not user.is_active:
            raise refuse(
                "LINK_NOT_VALID", "Ask for a new invitation: this one was used, replaced or is too old.", "token"
            )
        await set_password(settings, user, password, ("password",))
        if user.status is UserStatus.INVITED:
            user.status = UserStatus.ACTIVE
            user.version += 1
        row.used_at = datetime.now(UTC)
        await repository.revoke_sessions(tx.session, user.id)
        await tx.audit("invitation.accepted", "user", user.id, invited_by=row.created_by_id)
        tx.publish(AccessChanged(user.id))
        return user


async def create_admin(
    tx: Transaction, settings: Settings, email: str, first_name: str, last_name: str, password: str
) -> UserRow:
    """`plancharge create-admin`: the first account. The password was seen by someone else, so it must be changed."""
    email = email.strip()
    errors = []
    name, _, host = email.partition("@")
    if not name or not host or not email.isprintable() or " " in email:
        errors.append(FieldError(("email",), "INVALID_EMAIL", "Give an e-mail address such as ada@example.org."))
    if not last_name.strip():
        errors.append(FieldError(("lastName",), "INVALID_NAME", "Give a last name."))
    user = UserRow(
        email=email,
        first_name=first_name.strip(),
        last_name=last_name.strip(),
        status=UserStatus.ACTIVE,
        is_active=True,
        is_superuser=True,
    )
    await set_password(settings, user, password, ("password",), *errors)
    user.must_change_password = True
    try:
        async with tx.session.begin_nested():
            tx.session.add(user)
    except IntegrityError as error:
        if "uq_users_email" not in str(error.orig):
            raise
        raise refuse("DUPLICATE", "There is already a user with this e-mail address.", "email") from None
    role = await repository.shipped_role(tx.session, repository.ADMIN_ROLE)
    if role is not None:
        tx.session.add(UserRoleRow(user_id=user.id, role_id=role.id))
    await tx.audit("user.created", "user", user.id, after={"is_superuser": True})
    return user
