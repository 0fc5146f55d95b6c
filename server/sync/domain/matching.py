"""Who of a provider is whom of ours: by e-mail address, then by name."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from uuid import UUID

LINKS_BY_ITSELF = Decimal("0.90")
WORTH_PROPOSING = Decimal("0.60")

SAME_EMAIL = Decimal("1.00")
SAME_NAME = Decimal("0.95")
SAME_NAME_OTHER_EMAIL = Decimal("0.85")
"""two addresses under one name may be two people: a person decides"""
PART_OF_NAME = Decimal("0.80")
AMBIGUOUS = Decimal("0.80")
"""the most for someone whom another fits as well"""
SIMILAR_NAME = Decimal("0.75")
"""times the similarity of the spellings; below 0.8 similar is not worth proposing"""


@dataclass(frozen=True, slots=True)
class Known:
    """One of our users who is nobody yet at the provider."""

    id: UUID
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class External:
    """A person of the provider who is nobody yet here."""

    id: str
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Match:
    external_id: str
    user_id: UUID
    score: Decimal
    by: str

    @property
    def links(self) -> bool:
        return self.score >= LINKS_BY_ITSELF


def normalised(name: str) -> tuple[str, ...]:
    """ "DUPRÉ-Martin  Zoé" and "Zoe Martin Dupre" are alike: words without accents or case, in one order."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(character if character.isalnum() else " " for character in plain if not _is_accent(character))
    return tuple(sorted(letters.split()))


def _is_accent(character: str) -> bool:
    return unicodedata.combining(character) != 0


def match(people: Sequence[External], users: Sequence[Known]) -> list[Match]:
    """The best user for each person, where one is worth proposing. Nobody is linked by itself to two."""
    search = _Search(users, Counter(normalised(person.name) for person in people))
    found = [one for person in people if (one := search.best(person)) is not None]
    claims = defaultdict(list)
    for one in found:
        if one.links:
            claims[one.user_id].append(one)
    linked = {user_id: _strongest(ones) for user_id, ones in claims.items()}
    return [_resolved(one, linked) for one in found]


def _strongest(claims: Sequence[Match]) -> Match | None:
    """Whose claim stands: the one by e-mail before those by name; None where two are as good."""
    best = max(claim.score for claim in claims)
    first, *others = (claim for claim in claims if claim.score == best)
    return None if others else first


def _resolved(one: Match, linked: dict[UUID, Match | None]) -> Match:
    if one.links and linked[one.user_id] is not one:
        return Match(one.external_id, one.user_id, AMBIGUOUS, one.by)
    return one


class _Search:
    """Users by address, by name and by word, so that 20,000 people are not compared with 20,000 users each."""

    def __init__(self, users: Sequence[Known], external_names: Counter[tuple[str, ...]]) -> None:
        self._external_names = external_names
        self._by_email = {user.email.strip().lower(): user for user in users if user.email}
        self._by_name: dict[tuple[str, ...], list[Known]] = defaultdict(list)
        self._by_word: dict[str, list[tuple[tuple[str, ...], Known]]] = defaultdict(list)
        for user in users:
            words = normalised(user.name)
            self._by_name[words].append(user)
            for word in set(words):
                self._by_word[word].append((words, user))

    def best(self, person: External) -> Match | None:
        if person.email and (user := self._by_email.get(person.email.strip().lower())):
            return Match(person.id, user.id, SAME_EMAIL, "EMAIL")
        words = normalised(person.name)
        if words and (namesakes := self._by_name.get(words)):
            return self._namesake(person, words, namesakes)
        return self._similar(person, words)

    def _namesake(self, person: External, words: tuple[str, ...], namesakes: Sequence[Known]) -> Match:
        user = min(namesakes, key=lambda one: (bool(one.email and person.email), str(one.id)))
        score = SAME_NAME_OTHER_EMAIL if person.email and user.email else SAME_NAME
        if len(namesakes) > 1 or self._external_names[words] > 1:
            score = min(score, AMBIGUOUS)
        return Match(person.id, user.id, score, "NAME")

    def _similar(self, person: External, words: tuple[str, ...]) -> Match | None:
        candidates = {user.id: (names, user) for word in words for names, user in self._rare(word)}
        scored = [(_similarity(words, names), str(user.id), user) for names, user in candidates.values()]
        if not scored:
            return None
        score, _, user = max(scored, key=lambda one: (one[0], one[1]))
        return Match(person.id, user.id, score, "NAME") if score >= WORTH_PROPOSING else None

    def _rare(self, word: str) -> Sequence[tuple[tuple[str, ...], Known]]:
        """Who has this word in the name; a word that hundreds share says nothing, and would cost a comparison each."""
        found = self._by_word.get(word, ())
        return found if len(found) <= 200 else ()


def _similarity(words: tuple[str, ...], names: tuple[str, ...]) -> Decimal:
    """Below what links by itself, whatever the names: only equal ones do that."""
    common = Counter(words) & Counter(names)
    if common.total() >= 2 and common.total() == min(len(words), len(names)):
        return PART_OF_NAME
    alike = SequenceMatcher(None, " ".join(words), " ".join(names)).ratio()
    return round(SIMILAR_NAME * Decimal(str(round(alike, 4))), 2)
