"""News of failed scheduled syncs: once per provider and cause until the next success, to the admins, by SMTP."""

from __future__ import annotations

import asyncio
from email import message_from_string
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from server.sync.models import Provider, SyncState, SyncTrigger
from server.sync.service import failure_mail, runs
from tests.sync.conftest import SYSTEM

PAYFIT = Provider.PAYFIT


class MailServer(asyncio.Protocol):
    """Takes every mail into its box, or refuses it while the box is `refusing`."""

    def __init__(self, box):
        self.box, self.rest, self.recipients, self.body = box, b"", [], None

    def connection_made(self, transport):
        self.transport = transport
        self.box.transports.append(transport)
        self.say("220 mail.example.test ESMTP")

    def say(self, line):
        self.transport.write(line.encode() + b"\r\n")

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        for line in lines:
            self.take(line.decode())

    def take(self, line):
        command = line.upper()
        if self.body is not None and line != ".":
            self.body.append(line)
        elif self.body is not None:
            self.box.mails.append((self.recipients, message_from_string("\n".join(self.body))))
            self.body = None
            self.say("250 ok")
        elif command.startswith("RCPT TO"):
            self.recipients.append(line[9:].split(">")[0])
            self.say("451 later" if self.box.refusing else "250 ok")
        elif command == "DATA":
            self.body = []
            self.say("354 go on")
        elif command == "QUIT":
            self.say("221 bye")
            self.transport.close()
        else:
            self.say("250 mail.example.test")


@pytest.fixture
async def mailbox():
    box = SimpleNamespace(mails=[], refusing=False, transports=[])
    server = await asyncio.get_running_loop().create_server(lambda: MailServer(box), "127.0.0.1", 0)
    box.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield box
    for transport in box.transports:
        transport.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def tell(sync, mailbox, make):
    """Runs a scheduled sync under a scenario, then tells; answers how many mails left."""
    people = [await make.user(email=f"{name}@example.test") for name in ("admin", "other")]
    async with sync.database.transaction(SYSTEM) as tx:
        await tx.session.execute(
            text("INSERT INTO user_roles (user_id, role_id) SELECT :id, id FROM roles WHERE name = 'admin'"),
            {"id": people[0].id},
        )
    settings = sync.settings.model_copy(update={"smtp_url": SecretStr(mailbox.url)})

    async def run(scenario, trigger=SyncTrigger.SCHEDULE):
        if scenario:
            sync.simulated.switch(scenario)
            await sync(PAYFIT, trigger)
        return await failure_mail.tell_admins(sync.database, SYSTEM, settings)

    return run


async def test_an_incident_is_told_once_until_the_next_success(tell, mailbox):
    assert await tell("forbidden") == 1
    assert [await tell("forbidden") for _ in range(3)] == [0, 0, 0]
    assert await tell("normal") == 0
    assert await tell("forbidden") == 1
    assert len(mailbox.mails) == 2


async def test_another_cause_is_another_incident(tell, mailbox):
    assert [await tell("forbidden"), await tell("token-inactive"), await tell("forbidden")] == [1, 1, 0]


async def test_the_mail_goes_to_the_admins_and_says_what_to_do(tell, mailbox):
    await tell("forbidden")
    ((recipients, mail),) = mailbox.mails
    assert recipients == ["admin@example.test"]
    assert mail["Subject"] == "Plan de Charge: the PayFit sync failed"
    assert "give the key the missing scope" in mail.get_payload()


async def test_a_sync_that_somebody_started_is_nobodys_mail(tell, mailbox):
    assert await tell("forbidden", SyncTrigger.PERSON) == 0
    assert mailbox.mails == []


async def test_a_mail_that_could_not_leave_is_sent_the_next_time(tell, mailbox):
    mailbox.refusing = True
    assert await tell("forbidden") == 0
    mailbox.refusing = False
    assert await tell(None) == 1


async def test_a_lost_run_is_told_too(tell, sync, mailbox):
    run = await sync.start(PAYFIT, SyncTrigger.SCHEDULE)
    async with sync.database.transaction(SYSTEM) as tx:
        past = "now() - interval '1 h'"
        await tx.session.execute(text(f"UPDATE sync_runs SET created_at = {past}, due_at = {past}"))
    async with sync.database.transaction(SYSTEM) as tx:
        assert await runs.lose_abandoned(tx) == [run.id]
    assert (await sync.row(run.id)).state is SyncState.LOST
    assert await tell(None) == 1
