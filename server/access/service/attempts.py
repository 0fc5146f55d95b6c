"""Slows down guessing: failed tries are counted per account, per address and per pair of them."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from server.access import repository
from server.access.domain import ACCOUNT_PACE, ADDRESS_PACE, PAIR_PACE, is_searchable, network_of
from server.access.models import SignInFailureKind, SignInFailureRow
from server.access.repository import FailureKey
from server.actor import Actor, Origin
from server.database import Database, Transaction
from server.errors import Throttled
from server.retries import retried
from server.settings import Settings

_PACES = {
    SignInFailureKind.ACCOUNT: ACCOUNT_PACE,
    SignInFailureKind.ADDRESS: ADDRESS_PACE,
    SignInFailureKind.PAIR: PAIR_PACE,
}
_KNOWN_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that was admitted, and already counted for its pair: a hundred at the same instant are not all admitted."""

    account: FailureKey
    address: FailureKey
    pair: FailureKey


def _attempt(settings: Settings, username: str, origin: Origin) -> Attempt:
    # Keyed by a secret: people type passwords into the name field, and addresses are personal data.
    secret = next(iter(settings.signing_keys.values())).encode()

    def keyed(kind: SignInFailureKind, *parts: str) -> FailureKey:
        text = "\0".join((kind.name, *parts)).encode("utf-8", "surrogatepass")
        return kind, hmac.digest(secret, text, "sha256").hex()

    account, network = username.strip().casefold(), network_of(origin.address)
    return Attempt(
        account=keyed(SignInFailureKind.ACCOUNT, account),
        address=keyed(SignInFailureKind.ADDRESS, network),
        pair=keyed(SignInFailureKind.PAIR, account, network),
    )


# Tries of one pair wait for each other: people signing in at the same instant must not take each other for guesses.
# Across processes the count alone decides, since a lock in the database would hold a connection while hashing.
_queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def admitted(database: Database, settings: Settings, username: str, origin: Origin) -> AsyncIterator[Attempt]:
    """`async with admitted(...) as attempt`: one try, in whose block the password is verified and the result noted.

    Raises Throttled when the next try is not due yet: the same for accounts that exist and for those that do not.
    """
    attempt = _attempt(settings, username, origin)
    async with _queues.setdefault(attempt.pair[1], asyncio.Lock()):
        await _admit(database, attempt, username, origin)
        yield attempt


@retried
async def _admit(database: Database, attempt: Attempt, username: str, origin: Origin) -> None:
    now = datetime.now(UTC)
    async with database.transaction(Actor(None, origin=origin)) as tx:
        await repository.lock_key(tx.session, attempt.pair[1])
        rows = await repository.failures(tx.session, [attempt.account, attempt.address, attempt.pair])
        waiting = [(wait, row) for row in rows if (wait := _wait(row, now))]
        if any(row.kind == SignInFailureKind.ACCOUNT for _, row in waiting) and await _is_known(
            tx, username, origin, now
        ):
            waiting = [(wait, row) for wait, row in waiting if row.kind != SignInFailureKind.ACCOUNT]
        if not waiting:
            await repository.count_failure(tx.session, attempt.pair, now, PAIR_PACE.forget_seconds)
            return
        wait, row = max(waiting, key=lambda item: item[0])
        if await repository.mark_refused(tx.session, row, now):
            kind = SignInFailureKind(row.kind).name.lower()
            await tx.audit("session.throttled", "session", by=kind, failures=row.failures, retry_after=wait)
    raise Throttled("Too many failed attempts to sign in: wait before the next one.", retry_after=wait)


async def _is_known(tx: Transaction, username: str, origin: Origin, now: datetime) -> bool:
    """Whether the account has signed in from there: its owner's places are spared the delay that strangers cause."""
    if origin.address is None or not is_searchable(username):
        return False
    return await repository.has_signed_in_from(tx.session, username.strip(), origin.address, now - _KNOWN_FOR)


def _wait(row: SignInFailureRow, now: datetime) -> int:
    return _PACES[SignInFailureKind(row.kind)].wait(row.failures, row.last_failure_at, now)


async def failed(tx: Transaction, attempt: Attempt) -> None:
    now = datetime.now(UTC)
    await repository.count_failure(tx.session, attempt.account, now, ACCOUNT_PACE.forget_seconds)
    await repository.count_failure(tx.session, attempt.address, now, ADDRESS_PACE.forget_seconds)


async def succeeded(tx: Transaction, attempt: Attempt) -> None:
    """The address keeps its count: or a guesser with an account of their own would clear it between guesses."""
    await repository.forget_failures(tx.session, [attempt.account, attempt.pair])
