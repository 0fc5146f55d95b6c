"""`plancharge dev`: everything on this machine, started in order and stopped together."""

from __future__ import annotations

import asyncio
import os
import shlex
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
from server.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedValkey
from server.embedded.folder import kept_password, write_private
from server.embedded.process import die_with_parent
from server.migrate import migrate
from server.serving import check_port, wait_until_healthy
from server.settings import Settings, SettingsError, read_settings

STOP_SECONDS = 30
ENVIRONMENT = "environment"
DEMO_USERS, DEMO_PROJECTS, DEMO_MONTHS, DEMO_FROM = 300, 120, 36, date(2025, 1, 1)
DEFAULTS = {"PLANCHARGE_ENV": "development", "LOG_FORMAT": "console", "LOG_LEVEL": "WARNING"}


def run(folder: Path, host: str, port: int) -> None:
    """Blocks until Ctrl-C or SIGTERM; then nothing of it runs any more, and the data is kept in `folder`."""
    check_port(host, port)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a shell's background jobs ignore it
        signal.signal(ending, _interrupt)
    with ExitStack() as stack:
        settings = _settings(folder, stack, f"http://{host}:{port}")
        _prepare(settings)
        _keep_environment(folder, stack)
        children = [
            stack.enter_context(_child("web server", "serve", "--host", host, "--port", str(port))),
            stack.enter_context(_child("worker", "worker")),
        ]
        wait_until_healthy(host, port, lambda: _ended(children))
        _announce(settings, folder, host, port)
        while not (ended := _ended(children)):
            time.sleep(0.3)
        raise click.ClickException(f"The {ended} ended by itself; its log above says why.")


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _settings(folder: Path, stack: ExitStack, public_url: str) -> Settings:
    """Starts what the environment does not name, and completes the environment, which the children get too."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = "dev:" + kept_password(folder / "jwt-key")  # kept, so that sign-ins outlive a restart
    except OSError as error:
        raise EmbeddedError.from_os_error(error, folder) from error
    for name, value in {**DEFAULTS, "PUBLIC_URL": public_url, "JWT_KEYS": key}.items():
        os.environ[name] = os.environ.get(name) or value
    for provider in ("PAYFIT", "GRYZZLY"):  # a simulated one, unless there is a key for the real one
        if not os.environ.get(f"{provider}_API_KEY"):
            os.environ[f"{provider}_USE_MOCK"] = os.environ.get(f"{provider}_USE_MOCK") or "true"
    if os.environ["PLANCHARGE_ENV"] == "production":
        raise SettingsError("`plancharge dev` makes demo accounts: unset PLANCHARGE_ENV, or use `plancharge serve`.")
    if os.environ.get("DATABASE_URL"):
        click.echo("PostgreSQL ... yours (DATABASE_URL)")
    else:
        with _step("PostgreSQL"):
            os.environ["DATABASE_URL"] = stack.enter_context(EmbeddedPostgres(folder / "postgres")).url()
    if os.environ.get("REDIS_URL"):
        click.echo("Redis ... yours (REDIS_URL)")
    else:
        with _step("Valkey"):
            os.environ["REDIS_URL"] = stack.enter_context(EmbeddedValkey(folder / "valkey")).url()
    return read_settings()


def _keep_environment(folder: Path, stack: ExitStack) -> None:
    """For other commands while this one runs: `set -a; . .plancharge/environment; plancharge verify`."""
    path = folder / ENVIRONMENT
    names = (*DEFAULTS, "DATABASE_URL", "REDIS_URL", "JWT_KEYS")
    write_private(path, "".join(f"{name}={shlex.quote(os.environ[name])}\n" for name in names))
    stack.callback(path.unlink, missing_ok=True)


def _prepare(settings: Settings) -> None:
    with _step("Migrations"):
        asyncio.run(migrate(settings))
    if asyncio.run(seed.is_empty(settings)):
        today = datetime.now(settings.timezone).date()
        demo = seed.Demo(DEMO_USERS, DEMO_PROJECTS, DEMO_FROM, DEMO_MONTHS, today, accounts=True)
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
def _child(name: str, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A process of its own session, so that Ctrl-C reaches us alone and we stop things in order."""
    command = [*die_with_parent(signal.SIGTERM), sys.executable, "-m", "server.cli", *arguments]
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
    try:
        yield name, process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also on a second, impatient Ctrl-C; without effect on a process that has ended
            process.kill()
            process.wait()


def _ended(children: list[tuple[str, subprocess.Popen[bytes]]]) -> str | None:
    return next((name for name, process in children if process.poll() is not None), None)


def _announce(settings: Settings, folder: Path, host: str, port: int) -> None:
    address = f"http://{host}:{port}"
    click.echo(
        f"\nPlan de Charge runs.\n"
        f"  GraphiQL    {address}/graphql\n"
        f"  Health      {address}/health  {address}/readiness  {address}/metrics\n"
        f"  Sign in as  {', '.join(f'{name}@demo.test' for name in seed.DEMO_ACCOUNTS)}\n"
        f"  Password    {settings.demo_password.get_secret_value()}\n"
        f"  Commands    set -a; . {shlex.quote(str(folder / ENVIRONMENT))}; set +a; .venv/bin/plancharge verify\n"
        f"Ctrl-C stops everything; the data stays.\n"
    )
