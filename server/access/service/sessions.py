"""Sessions: opened with a password, kept alive by rotating refresh tokens, ended by logout, replay or deactivation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from server.access import repository
from server.access.domain import is_searchable
from server.access.models import RefreshTokenRow
from server.access.service import access_tokens, attempts, opaque, passwords
from server.actor import Actor, Origin
from server.database import Database, Transaction
from server.errors import Unauthenticated
from server.events import AccessChanged
from server.ids import new_id
from server.retries import retried
from server.settings import Settings
from server.users.models import UserRow, UserStatus

WRONG_CREDENTIALS = "The user name or the password is wrong, or this account cannot sign in."
SESSION_OVER = "This session has ended: sign in again."
KEPT_AFTER_EXPIRY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Session:
    """What a caller gets for signing in or refreshing; lives in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int
    user: UserRow


def may_sign_in(user: UserRow) -> bool:
    return user.status is UserStatus.ACTIVE and not user.is_service


async def login(database: Database, settings: Settings, username: str, password: str, origin: Origin) -> Session:
    """Raises Unauthenticated in the same words and after the same work whether or not the account exists."""
    async with attempts.admitted(database, settings, username, origin) as attempt:
        user = await _by_name(database, username)
        verified = await passwords.verify(password, user.password_hash if user else None)
        session = await _answered(database, settings, attempt, user, verified, origin)
    if session is None:
        raise Unauthenticated(WRONG_CREDENTIALS)
    return session


@retried
async def _answered(
    database: Database,
    settings: Settings,
    attempt: attempts.Attempt,
    user: UserRow | None,
    verified: passwords.Verified,
    origin: Origin,
) -> Session | None:
    """A new session, or None for wrong credentials; either is noted."""
    proven = user.id if user and verified.matches else None
    async with database.transaction(Actor(proven, origin=origin)) as tx:
        row = await repository.lock_user(tx.session, proven) if proven else None
        if row is not None and user is not None and row.password_hash == user.password_hash and may_sign_in(row):
            await attempts.succeeded(tx, attempt)
            row.password_hash = verified.better_hash or row.password_hash
            row.last_login_at = datetime.now(UTC)
            # Left as it is: incremental reads are about people's facts, and would tell everyone who signs in when.
            row.updated_at = UserRow.updated_at
            session = await _continued(tx, settings, row, new_id())
            await tx.audit("session.started", "user", row.id)
            return session
        await attempts.failed(tx, attempt)
        await tx.audit("session.refused", "user", user.id if user else None, reason=_reason(user, proven))
        return None


def _reason(user: UserRow | None, proven: UUID | None) -> str:
    if user is None:
        return "unknown_user"
    return "wrong_password" if proven is None else "cannot_sign_in"


async def _by_name(database: Database, username: str) -> UserRow | None:
    if not is_searchable(username):
        return None
    async with database.reads.session() as session:
        return await repository.user_by_email(session, username.strip())


async def _continued(tx: Transaction, settings: Settings, user: UserRow, family_id: UUID) -> Session:
    """A further refresh token of the family, and an access token. Needs the user's lock."""
    refresh_token = opaque.new_token()
    life = timedelta(days=settings.refresh_token_days)
    origin = tx.actor.origin
    tx.session.add(
        RefreshTokenRow(
            user_id=user.id,
            family_id=family_id,
            token_hash=opaque.hashed(refresh_token),
            expires_at=datetime.now(UTC) + life,
            address=origin.address,
            user_agent=origin.user_agent,
        )
    )
    await tx.session.flush()
    access_token, expires_in = access_tokens.issue(settings, user.id, family_id)
    return Session(access_token, refresh_token, expires_in, int(life.total_seconds()), user)


@retried
async def refresh(database: Database, settings: Settings, token: str, origin: Origin) -> Session:
    """Each token works once. Of simultaneous uses one succeeds; the others are replays, and end the session."""
    async with database.transaction(Actor(None, origin=origin)) as tx:
        session = await _rotated(tx, settings, token)
    if session is None:
        raise Unauthenticated(SESSION_OVER)
    return session


async def _rotated(tx: Transaction, settings: Settings, token: str) -> Session | None:
    """None, rather than an exception, where what was found out must be committed."""
    found = await repository.refresh_token(tx.session, opaque.hashed(token))
    user = await repository.lock_user(tx.session, found.user_id) if found else None
    row = await repository.refresh_token(tx.session, opaque.hashed(token)) if found else None
    if row is None or user is None or row.revoked_at is not None:
        return None
    if row.used_at is not None:
        # Two parties hold this session and one is a thief; which one cannot be told, so it ends for both.
        ended = await repository.revoke_sessions(tx.session, user.id, only=row.family_id)
        await tx.audit("session.replayed", "user", user.id, session=row.family_id, ended=ended)
        tx.publish(AccessChanged(user.id))
        return None
    now = datetime.now(UTC)
    if row.expires_at <= now or not may_sign_in(user):
        return None
    row.used_at = now
    return await _continued(tx, settings, user, row.family_id)


@retried
async def logout(database: Database, origin: Origin, token: str | None = None, actor: Actor | None = None) -> None:
    """Ends the session of this refresh token, or else the caller's. An unknown token is no error: it is over."""
    async with database.transaction(actor or Actor(None, origin=origin)) as tx:
        user_id, family_id = (actor.user_id, actor.session_id) if actor else (None, None)
        if token is not None:
            found = await repository.refresh_token(tx.session, opaque.hashed(token))
            user_id, family_id = (found.user_id, found.family_id) if found else (None, None)
        if user_id is None or family_id is None:
            return
        await repository.lock_user(tx.session, user_id)
        if await repository.revoke_sessions(tx.session, user_id, only=family_id):
            await tx.audit("session.ended", "user", user_id, session=family_id)
            tx.publish(AccessChanged(user_id))


async def end_all(tx: Transaction, user_id: UUID) -> int:
    """For whoever deactivates a user: every session of theirs is over, within 5 s everywhere."""
    await repository.lock_user(tx.session, user_id)
    ended = await repository.revoke_sessions(tx.session, user_id)
    tx.publish(AccessChanged(user_id))
    return ended


async def forget_expired(tx: Transaction) -> int:
    """A daily job: what ended a month ago is of no use even to an investigation, which has the audit log."""
    return await repository.delete_expired(tx.session, datetime.now(UTC) - KEPT_AFTER_EXPIRY)
