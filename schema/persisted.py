"""Documents named by their hash: Apollo's automatic persisted queries, and an allow-list of trusted documents."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from graphql import GraphQLError, GraphQLSchema, parse, validate
from redis.asyncio import Redis

from schema.limits.documents import RULES
from server.errors import BadRequest, Failure, Forbidden
from server.redis_or_none import RedisOrNone
from server.settings import Settings, SettingsError

PREFIX = "plancharge:document:"
KEPT_SECONDS = 7 * 24 * 3600
"""since a document was last read from Redis; clients send a forgotten one again by themselves"""
KEPT_CHARACTERS = 4_000_000
"""of all documents together in one process"""
LONGEST = 100_000
SHA256 = re.compile(r"[0-9a-f]{64}")


class PersistedQueryNotFound(Failure):
    """The client sends the document along with the next try: its code and message are Apollo's."""

    code, title, status = "PERSISTED_QUERY_NOT_FOUND", "No document with this hash", 404


class NotTrusted(Forbidden):
    code, title = "DOCUMENT_NOT_TRUSTED", "Only known documents are run"


@dataclass(frozen=True, slots=True)
class NewDocument:
    hash: str
    text: str


class PersistedDocuments:
    """Finds a document by its hash: trusted ones first, then those of this process, then Redis."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._only_trusted = settings.trusted_documents_only
        self._trusted = read_trusted(settings.trusted_documents) if settings.trusted_documents else {}
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._or_none = RedisOrNone("persisted documents")

    async def find(self, query: str | None, extensions: Mapping[str, Any] | None) -> tuple[str, NewDocument | None]:
        """The document to run, and whether it is one to `keep` once it has proved valid.

        Raises PersistedQueryNotFound, NotTrusted, and BadRequest for a request that names no document.
        """
        asked = (extensions or {}).get("persistedQuery")
        wanted = None if asked is None else _hash_of(asked)
        if query and (wanted is not None or self._only_trusted):
            found = hashlib.sha256(query.encode()).hexdigest()
            if wanted is not None and wanted != found:
                raise BadRequest("provided sha does not match query: hash the document exactly as it is sent.")
            if self._only_trusted and found not in self._trusted:
                raise NotTrusted("This server runs trusted documents only: have yours added by `plancharge persist`.")
            return query, None if wanted is None or found in self._kept else NewDocument(found, query)
        if query:
            return query, None
        if wanted is None:
            raise BadRequest("`query` is missing: send the document as a string.")
        text = self._trusted.get(wanted)
        if text is None and not self._only_trusted:
            text = self._kept.get(wanted) or await self._from_redis(wanted)
        if text is None:
            raise PersistedQueryNotFound("PersistedQueryNotFound")
        return text, None

    async def keep(self, new: NewDocument) -> None:
        """Only what has passed validation and the limits, so that nobody fills Redis with anything else."""
        if len(new.text) > LONGEST or self._only_trusted:
            return
        self._remember(new.hash, new.text)
        await self._or_none.ask(lambda: self._redis.set(PREFIX + new.hash, new.text, ex=KEPT_SECONDS))

    async def _from_redis(self, wanted: str) -> str | None:
        """None as well while Redis is away: each process then knows what it has been sent itself."""
        answer = await self._or_none.ask(lambda: self._redis.getex(PREFIX + wanted, ex=KEPT_SECONDS))
        if answer is None:
            return None
        text: str = answer.decode()
        self._remember(wanted, text)
        return text

    def _remember(self, name: str, text: str) -> None:
        if name not in self._kept:
            self._characters += len(text)
        self._kept[name] = text
        self._kept.move_to_end(name)
        while self._characters > KEPT_CHARACTERS:
            self._characters -= len(self._kept.popitem(last=False)[1])


def _hash_of(asked: Any) -> str:
    """Raises BadRequest for what is not Apollo's version 1 with a SHA-256."""
    wanted = asked.get("sha256Hash") if isinstance(asked, dict) and asked.get("version") == 1 else None
    if not isinstance(wanted, str) or not SHA256.fullmatch(wanted):
        raise BadRequest("`extensions.persistedQuery` takes version 1 and a sha256Hash of 64 hexadecimal digits.")
    return wanted


def read_trusted(path: Path) -> dict[str, str]:
    """Raises SettingsError for a file that `plancharge persist` did not write, so that no server starts on it."""
    try:
        documents = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise SettingsError(f"TRUSTED_DOCUMENTS: {path} cannot be read ({error})") from error
    if not isinstance(documents, dict):
        raise SettingsError(f"TRUSTED_DOCUMENTS: {path} is not a JSON object of hashes and documents")
    for name, text in documents.items():
        if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != name:
            raise SettingsError(f"TRUSTED_DOCUMENTS: {path} has a document that its hash {name} does not fit")
    return documents


@dataclass(frozen=True, slots=True)
class Persisted:
    path: Path
    hash: str
    problems: tuple[str, ...]


def persist(schema: GraphQLSchema, paths: Sequence[Path], out: Path, *, replace: bool = False) -> list[Persisted]:
    """Adds documents to the allow-list, each checked against the schema; writes nothing where one has a problem.

    They are added, since clients of last week still send last week's documents; `replace` starts anew. A file rather
    than a table: it is reviewed and deployed beside the client's build, and nobody adds to it who can only write to
    the database.
    """
    documents = {} if replace or not out.exists() else read_trusted(out)
    results = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        name = hashlib.sha256(text.encode()).hexdigest()
        documents[name] = text
        results.append(Persisted(path, name, tuple(_problems(schema, text))))
    if not any(each.problems for each in results):
        out.write_bytes(orjson.dumps(documents, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    return results


def _problems(schema: GraphQLSchema, text: str) -> list[str]:
    try:
        return [error.message for error in validate(schema, parse(text), RULES)]
    except GraphQLError as error:
        return [error.message]
