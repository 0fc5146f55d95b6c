"""PostgreSQL killed, paused and restarted under reads and writes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from faults.ground import MONTH, Ground, paused, readiness, sign_in, unexpected, until_ready
from faults.load import Load, Writer, days_of
from faults.shown import Shown
from tests.running import Running

AWAY_SECONDS = 4.0
RECOVERS = 10.0
REQUEST_SECONDS = 5.0
LONGEST = REQUEST_SECONDS + 5.0
"""what a request may take, and the 2 s in which a connection that hangs is given up"""
MEANT = {"ok": "ok", "away": "503 with Retry-After", "late": "504 at the deadline"}
Fault = Callable[[Ground, Callable[[], None]], None]
"""Takes PostgreSQL away, calls the second argument, and brings it back."""


def killed(ground: Ground, meanwhile: Callable[[], None]) -> None:
    os.kill(ground.postgres.pid, signal.SIGKILL)
    meanwhile()
    ground.postgres.stop()
    ground.postgres.start()


def halted(ground: Ground, meanwhile: Callable[[], None]) -> None:
    with paused(ground.postgres.pid):
        meanwhile()


def restarted(ground: Ground, meanwhile: Callable[[], None]) -> None:
    ground.postgres.stop()
    meanwhile()
    ground.postgres.start()


def show(ground: Ground, shown: Shown, fault: Fault, away: float = AWAY_SECONDS) -> None:
    with ground.server(REQUEST_SECONDS=str(REQUEST_SECONDS)) as server:
        headers = sign_in(server)
        with Load(ground, server, headers) as load:
            time.sleep(1.5)
            told: list[int] = []
            began = time.monotonic()
            fault(ground, lambda: told.extend(_while_away(server, away)))
            back = time.monotonic()
            ready = until_ready(server)
            seconds = {kind: load.first_ok(kind, back) for kind in ("read", "write")}
            time.sleep(1.5)
            load.end()
        _report(shown, load, told, began, back)
        everything = {"readiness": ready, **seconds}
        for what, took in everything.items():
            promised = took is not None and took < RECOVERS
            shown.promise(promised, f"{what} again after {'never' if took is None else f'{took:.2f} s'}, no restart")
        shown.promise(server.process.poll() is None, "the server's process lived through it")
        errors = unexpected(server)
        shown.promise(not errors, f"{len(errors)} unexpected errors in the server's log {sorted(set(errors))}")
        check_writes(ground, shown, load.writers)


def _while_away(server: Running, seconds: float) -> list[int]:
    until = time.monotonic() + seconds
    statuses = []
    while time.monotonic() < until:
        statuses.append(readiness(server)[0])
        time.sleep(0.1)
    return statuses


def _report(shown: Shown, load: Load, told: list[int], began: float, back: float) -> None:
    outcomes = load.outcomes()
    strange = {name: count for name, count in outcomes.items() if name not in MEANT}
    counts = ", ".join(f"{outcomes.get(name, 0)} {text}" for name, text in MEANT.items())
    shown.fact(f"{sum(outcomes.values())} calls: {counts}")
    shown.promise(not strange, f"no other answers: {strange or 'none'}")
    shown.promise(outcomes.get("away", 0) > 0, "callers were told that the database is away")
    slowest = max(each.seconds for each in load.answers)
    shown.promise(
        slowest < LONGEST, f"the slowest answer took {slowest:.1f} s; the deadline is {REQUEST_SECONDS:.0f} s"
    )
    shown.promise(set(told[1:]) == {503}, f"/readiness said 503 while it was away ({len(told)} times asked)")
    shown.fact(f"PostgreSQL was away for {back - began:.1f} s")


def check_writes(ground: Ground, shown: Shown, writers: list[Writer]) -> None:
    """Each acknowledged write is in the database: what stands there is its value or that of a later call, and the
    audit log holds each acknowledged change of a name once, however often it was sent under its key."""
    lost, acknowledged, repeated, sent_again = [], 0, 0, 0
    for writer in writers:
        (name,) = ground.ask("SELECT name FROM projects WHERE id = $1::text::uuid", writer.project)[0]
        (days,) = ground.ask(
            "SELECT stated::float8 FROM forecasts WHERE user_id = $1::text::uuid AND project_id = $2::text::uuid"
            " AND month = ($3 || '-01')::date",
            writer.user,
            writer.project,
            MONTH,
        )[0]
        lost += _lost("name", name, [(writer.name(number), done) for number, done in writer.names])
        lost += _lost("days", days, [(float(days_of(number)), done) for number, done in writer.days])
        audited = [
            row[0]
            for row in ground.ask(
                "SELECT metadata->'after'->>'name' FROM audit_logs WHERE action = 'project.updated'"
                " AND resource_id = $1::text::uuid",
                writer.project,
            )
        ]
        done = [writer.name(number) for number, was in writer.names if was]
        lost += [f"audit of {each}" for each in done if audited.count(each) == 0]
        repeated += sum(audited.count(each) > 1 for each in done)
        acknowledged += len(done) + sum(was for _, was in writer.days)
        sent_again += len(writer.names) - len({number for number, _ in writer.names})
    shown.promise(not lost, f"{acknowledged} acknowledged writes, {len(lost)} lost {lost[:3] or ''}".rstrip())
    shown.promise(not repeated, f"{sent_again} calls sent again under their keys, {repeated} done twice")


def _lost(what: str, found: object, calls: list[tuple[object, bool]]) -> list[str]:
    last = max((index for index, (_, done) in enumerate(calls) if done), default=None)
    if last is None or found in [value for value, _ in calls[last:]]:
        return []
    return [f"{what} {calls[last][0]}, found {found}"]
