"""`plancharge dev`: everything on this machine, started in order and stopped together."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path

import click

from server import seed
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.embedded.process import die_with_parent
from server.migrate import migrate
from server.serving import check_port, wait_until_healthy
from server.settings import Settings, read_settings

STOP_SECONDS = 25
DEMO_USERS, DEMO_PROJECTS, DEMO_MONTHS, DEMO_FROM = 300, 120, 36, date(2025, 1, 1)


def run(folder: Path, host: str, port: int) -> None:
    """Blocks until Ctrl-C or SIGTERM; then nothing of it runs any more, and the data is kept in `folder`."""
    check_port(host, port)
    with ExitStack() as stack:
        signal.signal(signal.SIGTERM, _interrupt)
        environment = _environment(folder, stack, f"http://{host}:{port}")
        settings = read_settings(**environment)
        _prepare(settings)
        children = [
            stack.enter_context(_child("web server", environment, "serve", "--host", host, "--port", str(port))),
            stack.enter_context(_child("worker", environment, "worker")),
        ]
        wait_until_healthy(host, port, lambda: _ended(children))
        _announce(settings, host, port)
        while not (ended := _ended(children)):
            time.sleep(0.3)
        raise click.ClickException(f"The {ended} ended by itself; its log above says why.")


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _environment(folder: Path, stack: ExitStack, public_url: str) -> dict[str, str]:
    """The settings of the children; starts what the environment does not name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {
        "PLANCHARGE_ENV": "development",
        "PUBLIC_URL": public_url,
        "LOG_FORMAT": "console",
        "LOG_LEVEL": "WARNING",
    }
    values |= {name: os.environ[name] for name in values if name in os.environ}
    if "DATABASE_URL" in os.environ:
        values["DATABASE_URL"] = os.environ["DATABASE_URL"]
        click.echo("PostgreSQL  yours (DATABASE_URL)")
    else:
        with _step("PostgreSQL"):
            postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        values["DATABASE_URL"] = postgres.url()
    if "REDIS_URL" in os.environ:
        values["REDIS_URL"] = os.environ["REDIS_URL"]
        click.echo("Redis       yours (REDIS_URL)")
    else:
        with _step("Valkey"):
            valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        values["REDIS_URL"] = valkey.url()
    values["JWT_KEYS"] = os.environ.get("JWT_KEYS") or _kept_key(folder / "jwt-keys")
    return values


def _kept_key(path: Path) -> str:
    """A signing key of this folder's own, so that sign-ins outlive a restart."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"dev:{secrets.token_hex(32)}")
    return path.read_text().strip()


def _prepare(settings: Settings) -> None:
    with _step("Migrations"):
        asyncio.run(migrate(settings))
    if asyncio.run(seed.is_empty(settings)):
        today = datetime.now(settings.timezone).date()
        demo = seed.Demo(DEMO_USERS, DEMO_PROJECTS, DEMO_FROM, DEMO_MONTHS, today)
        with _step(f"Demo company of {DEMO_USERS} people, {DEMO_PROJECTS} projects, {DEMO_MONTHS} months"):
            asyncio.run(seed.write(settings, demo))


@contextmanager
def _step(label: str) -> Iterator[None]:
    click.echo(f"{label} ... ", nl=False)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        click.echo("failed")
        raise
    click.echo(f"{time.monotonic() - started:.1f} s")


@contextmanager
def _child(name: str, environment: dict[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A process of its own session, so that Ctrl-C reaches us alone and we stop things in order."""
    command = [*die_with_parent(signal.SIGTERM), sys.executable, "-m", "server.cli", *arguments]
    process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)  # noqa: S603
    try:
        yield name, process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ended(children: list[tuple[str, subprocess.Popen[bytes]]]) -> str | None:
    return next((name for name, process in children if process.poll() is not None), None)


def _announce(settings: Settings, host: str, port: int) -> None:
    address = f"http://{host}:{port}"
    click.echo(
        f"\nPlan de Charge runs.\n"
        f"  GraphiQL    {address}/graphql\n"
        f"  Health      {address}/health  {address}/readiness  {address}/metrics\n"
        f"  Sign in as  {', '.join(f'{name}@demo.test' for name in seed.DEMO_ACCOUNTS)}\n"
        f"  Password    {settings.demo_password.get_secret_value()}\n"
        f"Ctrl-C stops everything; the data stays.\n"
    )
