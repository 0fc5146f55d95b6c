"""Writes that a client may safely send again: the first answer is kept 24 h, in the write's own transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from server.access.models import IdempotencyKeyRow
from server.database import Transaction
from server.errors import FieldError, invalid, refuse
from server.ids import new_id
from server.search import storable

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call under a key. `answer` is the first call's, or None: then do the work and `store` its answer.

    An exception or a rolled-back transaction stores nothing, so that a failure of ours can be tried again.
    """

    tx: Transaction
    user_id: UUID
    mutation: str
    key: str
    request_hash: str
    answer: bytes | None

    async def store(self, answer: bytes) -> None:
        values = {"request_hash": self.request_hash, "answer": answer, "created_at": func.now()}
        statement = insert(IdempotencyKeyRow).values(
            id=new_id(), user_id=self.user_id, mutation=self.mutation, key=self.key, **values
        )
        # Only a key that has expired can be there already: the lock below keeps everyone else out.
        same_key = [IdempotencyKeyRow.user_id, IdempotencyKeyRow.mutation, IdempotencyKeyRow.key]
        await self.tx.session.execute(statement.on_conflict_do_update(index_elements=same_key, set_=values))


def check_key(key: str, path: str = "idempotencyKey") -> None:
    if not key.strip() or len(key) > MAX_KEY_LENGTH or not storable(key):
        message = f"Give a key of 1 to {MAX_KEY_LENGTH} printable characters, such as a new UUID for each write."
        raise invalid([FieldError((path,), "INVALID_KEY", message)])


async def attempt(tx: Transaction, mutation: str, key: str, request: Any, *, path: str = "idempotencyKey") -> Attempt:
    """Begins a write under a key that belongs to the caller and the mutation; the first statement of the transaction.

    `request` is everything that decides what the write does, as JSON-able data. Raises IDEMPOTENCY_KEY_REUSED when
    the key was used for another request. Two calls at once run one after the other, and the second gets the answer.
    """
    user_id = tx.actor.user_id
    check_key(key, path)
    if user_id is None:
        raise invalid([FieldError((path,), "INVALID_KEY", "A key belongs to a caller: sign in, or send none.")])
    # An advisory lock rather than a first row under the unique index: a row would have to be written without its
    # answer, and a waiting call would fail on it instead of reading the answer.
    name = f"{user_id}|{mutation}|{key}".encode()
    lock = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)
    await tx.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
    request_hash = hashlib.sha256(orjson.dumps(request, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()
    statement = select(IdempotencyKeyRow.request_hash, IdempotencyKeyRow.answer).where(
        IdempotencyKeyRow.user_id == user_id,
        IdempotencyKeyRow.mutation == mutation,
        IdempotencyKeyRow.key == key,
        IdempotencyKeyRow.created_at > func.now() - KEPT,
    )
    first = (await tx.session.execute(statement)).one_or_none()
    if first is not None and first.request_hash != request_hash:
        raise refuse("IDEMPOTENCY_KEY_REUSED", "This key was used for another request: take a new key.", path)
    return Attempt(tx, user_id, mutation, key, request_hash, None if first is None else first.answer)


async def purge(tx: Transaction) -> int:
    """Removes the answers that are no longer kept; how many. For the worker's nightly round."""
    expired = delete(IdempotencyKeyRow).where(IdempotencyKeyRow.created_at <= func.now() - KEPT)
    return len((await tx.session.execute(expired.returning(IdempotencyKeyRow.id))).all())
