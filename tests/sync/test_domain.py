"""Who is whom, which value stays, and what a contract that tells only its present rate makes of the past."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from server.sync.domain.contracts import Change, Held, Served, follow
from server.sync.domain.matching import External, Known, Match, match, normalised
from server.sync.domain.ownership import settle

ADA, BOB, EVE = (UUID(int=n) for n in (1, 2, 3))
MARCH = date(2026, 3, 1)


def users(*people):
    return [Known(*person) for person in people]


def scores(found):
    return {(one.external_id, one.user_id): str(one.score) for one in found}


class TestMatching:
    def test_an_email_address_decides_whatever_the_name(self):
        found = match([External("x", "A. Lovelace", "ADA@example.test")], users((ADA, "Ada King", "ada@example.test")))
        assert found == [Match("x", ADA, Decimal("1.00"), "EMAIL")]
        assert found[0].links

    @pytest.mark.parametrize("name", ["Ada Lovelace", "LOVELACE  ada", "Lovelace, Ada", "ada lovelacé"])
    def test_the_same_name_links_by_itself_where_one_side_has_no_address(self, name):
        found = match([External("x", name, None)], users((ADA, "Ada Lovelace", "ada@example.test")))
        assert scores(found) == {("x", ADA): "0.95"}

    def test_the_same_name_under_two_addresses_waits_for_a_person(self):
        found = match([External("x", "Ada Lovelace", "a@b.test")], users((ADA, "Ada Lovelace", "ada@example.test")))
        assert scores(found) == {("x", ADA): "0.85"}
        assert not found[0].links

    def test_of_two_namesakes_here_none_is_linked_by_itself(self):
        found = match(
            [External("x", "Ada Lovelace", None)], users((ADA, "Ada Lovelace", None), (BOB, "Ada Lovelace", None))
        )
        assert scores(found) == {("x", ADA): "0.80"}

    def test_of_two_namesakes_there_none_is_linked_by_itself(self):
        people = [External("x", "Ada Lovelace", None), External("y", "Ada Lovelace", None)]
        found = match(people, users((ADA, "Ada Lovelace", None)))
        assert scores(found) == {("x", ADA): "0.80", ("y", ADA): "0.80"}

    def test_two_people_under_one_address_are_both_left_to_a_person(self):
        people = [External("x", "Ada", "team@example.test"), External("y", "Bob", "team@example.test")]
        found = match(people, users((ADA, "Ada", "team@example.test")))
        assert scores(found) == {("x", ADA): "0.80", ("y", ADA): "0.80"}

    def test_the_address_wins_over_the_namesake(self):
        people = [External("x", "Ada Lovelace", None), External("y", "A. L.", "ada@example.test")]
        found = match(people, users((ADA, "Ada Lovelace", "ada@example.test")))
        assert scores(found) == {("x", ADA): "0.80", ("y", ADA): "1.00"}

    def test_a_married_name_is_proposed(self):
        found = match([External("x", "Ada King-Lovelace", None)], users((ADA, "Ada Lovelace", None)))
        assert scores(found) == {("x", ADA): "0.80"}

    def test_a_misspelt_name_is_proposed(self):
        found = match([External("x", "Ada Lovelase", None)], users((ADA, "Ada Lovelace", None)))
        assert scores(found) == {("x", ADA): "0.69"}

    def test_a_shared_first_name_is_nothing(self):
        assert match([External("x", "Ada Byron", None)], users((ADA, "Ada Lovelace", None))) == []

    def test_names_are_compared_without_accents_case_order_or_signs(self):
        assert normalised("DUPRÉ-Martin  Zoé") == normalised("zoe martin dupre") == ("dupre", "martin", "zoe")


class TestOwnership:
    def test_what_was_last_given_follows_the_provider(self):
        assert settle({"name": "A"}, {"name": "A"}, {"name": "B"}).take == {"name": "B"}

    def test_what_was_typed_here_is_a_conflict(self):
        settlement = settle({"name": "Mine"}, {"name": "A"}, {"name": "B"})
        assert (settlement.take, settlement.conflicts) == ({}, {"name": ("Mine", "B")})

    def test_it_is_one_even_while_the_provider_stays_as_it_was(self):
        assert settle({"name": "Mine"}, {"name": "A"}, {"name": "A"}).conflicts == {"name": ("Mine", "A")}

    def test_what_was_never_compared_counts_as_typed(self):
        assert settle({"name": "Mine"}, None, {"name": "A"}).conflicts == {"name": ("Mine", "A")}

    def test_what_nobody_said_is_filled_in(self):
        assert settle({"email": None}, None, {"email": "a@b.test"}).take == {"email": "a@b.test"}

    def test_what_somebody_cleared_here_is_a_conflict(self):
        assert settle({"email": None}, {"email": "a@b.test"}, {"email": "a@b.test"}).conflicts

    def test_a_provider_that_says_nothing_clears_nothing(self):
        settlement = settle({"email": "a@b.test"}, {"email": "a@b.test"}, {"email": None})
        assert (settlement.take, settlement.conflicts) == ({}, {})


FULL, PART = Decimal(1), Decimal("0.8")


def held(start, end=None, fte=FULL, external_id="c1", typed=False, id=ADA):
    return Held(id, start, end, fte, None if typed else external_id, typed)


class TestContracts:
    def test_a_new_one_is_added(self):
        outcome = follow(Served("c1", MARCH, None, FULL), [], MARCH)
        assert outcome.changes == (Change(None, Held(None, MARCH, None, FULL, "c1")),)

    def test_the_same_one_changes_nothing(self):
        assert follow(Served("c1", MARCH, None, FULL), [held(MARCH)], date(2026, 6, 1)).changes == ()

    def test_another_rate_holds_from_the_change_day_and_the_past_keeps_its_own(self):
        start, june = date(2025, 1, 1), date(2026, 6, 1)
        outcome = follow(Served("c1", start, None, PART), [held(start)], june)
        past, present = outcome.changes
        assert past.after == Held(ADA, start, date(2026, 5, 31), FULL, "c1@2025-01-01")
        assert (present.before, present.after) == (None, Held(None, june, None, PART, "c1"))

    def test_a_rate_that_changed_twice_in_a_month_leaves_two_pieces(self):
        start, june = date(2025, 1, 1), date(2026, 6, 1)
        pieces = [held(start, date(2026, 5, 31), external_id="c1@2025-01-01", id=BOB), held(june, fte=PART)]
        (change,) = follow(Served("c1", start, None, Decimal("0.5")), pieces, june).changes
        assert change.after == Held(ADA, june, None, Decimal("0.5"), "c1")

    def test_the_start_of_a_contract_whose_rate_changed_is_that_of_its_first_piece(self):
        start, june = date(2025, 1, 1), date(2026, 6, 1)
        pieces = [held(start, date(2026, 5, 31), external_id="c1@2025-01-01", id=BOB), held(june, fte=PART)]
        assert follow(Served("c1", start, None, PART), pieces, date(2026, 9, 1)).changes == ()

    def test_an_end_is_followed(self):
        (change,) = follow(Served("c1", MARCH, date(2026, 8, 31), FULL), [held(MARCH)], MARCH).changes
        assert change.after == held(MARCH, date(2026, 8, 31))

    def test_a_rate_of_a_contract_that_is_over_changes_nothing_of_the_past(self):
        ended = held(date(2025, 1, 1), date(2025, 12, 31))
        assert follow(Served("c1", date(2025, 1, 1), date(2025, 12, 31), PART), [ended], MARCH).changes == ()

    def test_one_typed_here_with_the_same_start_is_taken_over(self):
        typed = held(MARCH, typed=True)
        (change,) = follow(Served("c1", MARCH, None, FULL), [typed], MARCH).changes
        assert (change.before, change.after) == (typed, held(MARCH))

    def test_any_other_overlap_is_refused_and_says_with_what(self):
        outcome = follow(Served("c1", MARCH, None, FULL), [held(date(2026, 1, 1), typed=True)], MARCH)
        code, reason = outcome.refusal
        assert code == "CONTRACT_OVERLAP"
        assert "from 2026-01-01 on" in reason
        assert "end or delete it" in reason
