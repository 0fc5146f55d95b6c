"""Who of a provider is whom of ours, and what PayFit's facts make of the users."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from server.ids import new_id
from server.sync.domain.matching import External, Known, Match, match
from server.sync.domain.ownership import settle
from server.sync.models import ConflictResource, Provider, SyncKind
from server.sync.repository import conflicts
from server.sync.repository import people as repository
from server.sync.repository.conflicts import Differing
from server.sync.repository.people import NewUser
from server.sync.repository.staging import Refused
from server.sync.service.apply import Application

NOT_MAPPED = "PERSON_NOT_MAPPED"
EMAIL_TAKEN = "EMAIL_TAKEN"
_FACTS = ("first_name", "last_name", "email")


async def link(application: Application) -> None:
    """Links those who are surely one of ours, proposes the likely ones, and makes PayFit's others new users."""
    session, provider = application.tx.session, application.run.provider
    await repository.put_staged(session, provider, application.run.id)
    unmapped = await repository.unmapped(session, provider, application.run.id)
    if not unmapped:
        return
    users = [Known(row.id, f"{row.first_name} {row.last_name}", row.email) for row in await _candidates(application)]
    people = [External(row.external_id, f"{row.first_name} {row.last_name}", row.email) for row in unmapped]
    matches = await asyncio.to_thread(match, people, users)  # a minute's work must not stop the heartbeat
    links = [one for one in matches if one.links]
    proposals = {one.external_id: ("PROPOSED", one.user_id, one.score) for one in matches if not one.links}
    known = {one.external_id for one in matches}
    strangers = [row for row in unmapped if row.external_id not in known]
    application.count(SyncKind.PERSON, updated=len(links))
    if provider is Provider.PAYFIT:
        links += await _make_users(application, strangers)
        strangers = []
    if links:
        await repository.link(session, provider, links, None)
    states = {row.external_id: ("UNMATCHED", None, None) for row in strangers}
    await repository.set_states(session, provider, {**proposals, **states})
    await _explain(application, [*proposals, *states])


async def _candidates(application: Application) -> Sequence[Any]:
    return await repository.candidates(application.tx.session, application.run.provider)


async def _make_users(application: Application, strangers: Sequence[Any]) -> list[Match]:
    """People without a password: they are planned, and sign in only once somebody invites them."""
    made, addresses = [], set()
    for row in strangers:
        email = row.email if row.email and row.email.lower() not in addresses else None
        addresses.add((email or "").lower())
        made.append((row.external_id, NewUser(new_id(), row.first_name, row.last_name, email)))
    if made:
        await repository.add_users(application.tx.session, [user for _, user in made])
        application.count(SyncKind.PERSON, created=len(made))
    return [Match(external_id, user.id, Decimal(1), "CREATED") for external_id, user in made]


async def _explain(application: Application, waiting: Sequence[str]) -> None:
    reason = "Nobody here is surely this person: confirm the proposal, choose a user, or make one."
    refused = [Refused(SyncKind.PERSON, external_id, NOT_MAPPED, reason) for external_id in waiting]
    await application.refuse(refused, skipped=True)


async def follow_facts(application: Application) -> None:
    """PayFit's names and addresses for the users that its people are; what was typed here becomes a conflict."""
    session, run_id = application.tx.session, application.run.id
    changed: list[NewUser] = []
    differing: list[Differing] = []
    rows = await repository.compared(session, run_id)
    taken = await repository.emails_taken(session, [row.data["email"] for row in rows if row.data["email"]])
    refused: list[Refused] = []
    for row in rows:
        ours = {name: getattr(row, name) for name in _FACTS}
        incoming = {name: row.data[name] for name in _FACTS}
        if _same_address(ours["email"], incoming["email"]):
            incoming["email"] = ours["email"]
        settlement = settle(ours, row.given, incoming)
        email = settlement.take.get("email")
        if email is not None and email.lower() in taken:
            del settlement.take["email"]
            reason = "Another user has this e-mail address: change it on one of the two sides."
            refused.append(Refused(SyncKind.PERSON, None, EMAIL_TAKEN, reason))
        elif email is not None:
            taken.add(email.lower())
        if settlement.take:
            changed.append(NewUser(row.id, **{**ours, **settlement.take}))
        differing += [Differing(row.id, name, *values) for name, values in settlement.conflicts.items()]
    if changed:
        await repository.update_users(session, changed)
        application.count(SyncKind.PERSON, updated=len(changed))
    await conflicts.put(session, application.run.provider, ConflictResource.USER, run_id, differing)
    await repository.remember_given(session, application.run.provider, run_id)
    await application.refuse(refused)


def _same_address(ours: str | None, theirs: str | None) -> bool:
    return ours is not None and theirs is not None and ours.lower() == theirs.lower()
