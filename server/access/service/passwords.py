"""Passwords: hashed and verified off the event loop, judged by the policy, changed by their owner."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from passlib.context import CryptContext

from server.access import repository
from server.access.domain import password_faults
from server.access.service import attempts
from server.actor import Actor
from server.database import Database
from server.errors import FieldError, Unauthenticated, invalid
from server.events import AccessChanged
from server.retries import retried
from server.settings import Settings
from server.users.models import UserRow

# argon2id with OWASP's parameters: 19 MiB, two passes. bcrypt is what older systems stored: accepted, then replaced.
CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt"],
    deprecated=["bcrypt"],
    argon2__type="id",
    argon2__memory_cost=19_456,
    argon2__time_cost=2,
    argon2__parallelism=1,
)

# Of a random password that nobody has: verified when there is no account, so that this takes the same time.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$+3+vNcYYg/B+TwmBcI4R4g$sRBo4a8fQniyvIBUHYa3IkRKNOxjq1WiFbQewvXVWg8"

BCRYPT_BYTES = 72
"""bcrypt never read further; the library now refuses more where older ones cut it."""

# Few threads: each hash holds 19 MiB and a core, and a crowd signing in must not take the event loop's share.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="passwords")


@dataclass(frozen=True, slots=True)
class Verified:
    matches: bool
    better_hash: str | None = None
    """to store instead, when the password was right and its hash is of an older kind"""


def normal(password: str) -> str:
    """One form for what looks the same: keyboards differ in how they compose an é."""
    return unicodedata.normalize("NFC", password)


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, CONTEXT.hash, normal(password))


async def verify(password: str, password_hash: str | None) -> Verified:
    """Against nobody's hash when there is none: the answer is then no, after the same work."""
    result = await asyncio.get_running_loop().run_in_executor(
        _threads, _verify, normal(password), password_hash or NOBODYS_HASH
    )
    return result if password_hash else Verified(matches=False)


def _verify(password: str, password_hash: str) -> Verified:
    secret: str | bytes = password
    try:
        if CONTEXT.identify(password_hash) == "bcrypt":
            secret = password.encode()[:BCRYPT_BYTES]
        if not CONTEXT.verify(secret, password_hash):
            return Verified(matches=False)
        better = CONTEXT.hash(password) if CONTEXT.needs_update(password_hash) else None
    except ValueError:  # characters that no stored password can hold, or a hash that is none
        return Verified(matches=False)
    return Verified(matches=True, better_hash=better)


def judged(
    settings: Settings, password: str, *, email: str | None, names: Sequence[str], path: tuple[str, ...]
) -> list[FieldError]:
    """What is wrong with a new password for this person."""
    found = password_faults(
        normal(password),
        shortest=settings.password_min_length,
        classes=settings.password_min_classes,
        email=email,
        names=names,
    )
    return [FieldError(path, code, message) for code, message in found]


async def set_password(
    settings: Settings, user: UserRow, password: str, path: tuple[str, ...], *more: FieldError
) -> None:
    """Raises Refused with all that is wrong: `more`, then what the policy finds."""
    errors = [*more, *judged(settings, password, email=user.email, names=(user.first_name, user.last_name), path=path)]
    if errors:
        raise invalid(errors)
    user.password_hash = await hashed(password)
    user.must_change_password = False


async def change_password(database: Database, settings: Settings, actor: Actor, current: str, new: str) -> UserRow:
    """The caller's own; all their other sessions end.

    Wrong guesses of the current password count like failed sign-ins, in a transaction of their own: a stolen access
    token must not become a way to try passwords.
    """
    if actor.user_id is None or actor.session_id is None:
        raise Unauthenticated("Only a person who signed in with a password can change it.")
    async with database.reads.session() as session:
        user = await session.get(UserRow, actor.user_id)
    if user is None or user.email is None:
        raise Unauthenticated("Only a person who signed in with a password can change it.")
    async with attempts.admitted(database, settings, user.email, actor.origin) as attempt:
        verified = await verify(current, user.password_hash)
        await _note(database, actor, attempt, user.id, matches=verified.matches)
    return await _replace(database, settings, actor, user, current, new, matches=verified.matches)


@retried
async def _note(database: Database, actor: Actor, attempt: attempts.Attempt, user_id: UUID, *, matches: bool) -> None:
    async with database.transaction(actor) as tx:
        if matches:
            await attempts.succeeded(tx, attempt)
        else:
            await attempts.failed(tx, attempt)
            await tx.audit("password.refused", "user", user_id)


@retried
async def _replace(
    database: Database, settings: Settings, actor: Actor, user: UserRow, current: str, new: str, *, matches: bool
) -> UserRow:
    same = [FieldError(("newPassword",), "PASSWORD_UNCHANGED", "Choose another password than the current one.")]
    wrong = [FieldError(("currentPassword",), "PASSWORD_WRONG", "This is not your current password.")]
    async with database.transaction(actor) as tx:
        row = await repository.lock_user(tx.session, user.id)
        if row is None or not matches or row.password_hash != user.password_hash:
            raise invalid(wrong)
        await set_password(settings, row, new, ("newPassword",), *(same if normal(new) == normal(current) else ()))
        await repository.revoke_sessions(tx.session, row.id, keep=actor.session_id)
        await repository.withdraw_invitations(tx.session, row.id)
        await tx.audit("password.changed", "user", row.id)
        tx.publish(AccessChanged(row.id))
        return row
