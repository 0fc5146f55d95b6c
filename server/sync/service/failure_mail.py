"""Telling the admins of a scheduled sync that failed: once per provider and cause, until the next success."""

from __future__ import annotations

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from sqlalchemy import text

from server.access.repository import ADMIN_ROLE
from server.actor import Actor
from server.database import Database
from server.settings import Settings
from server.sync.models import SyncRunRow
from server.sync.repository import runs

log = structlog.get_logger(__name__)

SMTP_SECONDS = 20
_ADMINS = text(
    "SELECT DISTINCT u.email FROM users u JOIN user_roles h ON h.user_id = u.id JOIN roles r ON r.id = h.role_id"
    " WHERE r.name = :role AND u.is_active AND NOT u.is_service AND u.email IS NOT NULL ORDER BY 1"
)


async def tell_admins(database: Database, actor: Actor, settings: Settings) -> int:
    """Sends what is still to be told; how many mails left. Without SMTP_URL the log tells it, once as well."""
    sent = 0
    while True:
        async with database.transaction(actor) as tx:
            run = await runs.open_incident(tx.session)
            to = list((await tx.session.scalars(_ADMINS, {"role": ADMIN_ROLE})).all())
        if run is None:
            return sent
        if settings.smtp_url is None or not to:
            log.error("sync_failed_nobody_told", provider=run.provider.value, cause=run.cause, run=str(run.id))
            continue
        try:
            await _send(settings, _message(settings, run, to))
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            log.warning("failure_mail_not_sent", error=type(error).__name__, run=str(run.id))
            async with database.transaction(actor) as tx:
                await runs.reopen_incident(tx.session, run.id)
            return sent  # the next round tries again
        sent += 1


def _message(settings: Settings, run: SyncRunRow, to: list[str]) -> EmailMessage:
    name = run.provider.value.title().replace("Payfit", "PayFit")
    message = EmailMessage()
    message["Subject"] = f"Plan de Charge: the {name} sync failed"
    message["From"] = settings.mail_from
    message["To"] = ", ".join(to)
    message.set_content(
        f"The scheduled sync of {name} failed ({run.cause}).\n\n{run.message}\n\n"
        f"Nothing of this run was applied; the plan is as it was before. Run: {run.id}\n{settings.public_url}\n\n"
        "You will not be told of the same cause again until a sync of this provider has succeeded.\n"
    )
    return message


async def _send(settings: Settings, message: EmailMessage) -> None:
    assert settings.smtp_url is not None
    url = urlsplit(settings.smtp_url.get_secret_value())
    await aiosmtplib.send(
        message,
        hostname=url.hostname,
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        timeout=SMTP_SECONDS,
    )
