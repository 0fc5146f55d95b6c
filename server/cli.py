"""The `plancharge` command: a thin face over what the other modules do."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path

import click
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from clients import simulator
from clients.simulator import SCENARIOS
from server import dev, seed, serving, worker
from server.administration import create_admin, verify
from server.embedded import EmbeddedError
from server.errors import Refused
from server.migrate import NotMigrated, migrate
from server.settings import Settings, SettingsError, read_settings
from server.sync.command import sync_now
from server.sync.models import Provider, SyncRunRow, SyncState

EXIT_DIFFERENCES = 3
CHECK_DATABASE = "check that it runs, and DATABASE_URL"
# What a person can act upon, by the class of PostgreSQL's code; any other error is ours and keeps its traceback.
DATABASE_ADVICE = {
    "08P01": f"{CHECK_DATABASE}; behind PgBouncer set DATABASE_POOLER=transaction",
    "08": CHECK_DATABASE,
    "28": "check the user and the password in DATABASE_URL",
    "3D": "create it, or check DATABASE_URL",
    "42501": "give the user of DATABASE_URL the right to it",
    "53": "the database server lacks space, memory or connections",
    "55P03": "something holds a lock on a table: try again when it is done",
    "57": CHECK_DATABASE,
}


def main() -> None:
    """Expected failures end with one clear line and exit code 1, a wrong call with 2, Ctrl-C with 130."""
    try:
        sys.exit(cli(standalone_mode=False))
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        explanation = explain(error)
        if explanation is None:
            raise
        click.echo(f"Error: {explanation}", err=True)
        sys.exit(1)


def explain(error: Exception) -> str | None:
    """What a person can do about it; None for what nobody expected, which wants its traceback."""
    match error:
        case SettingsError() | EmbeddedError() | NotMigrated() | Refused():
            return str(error)
        case RedisError():
            return f"Redis cannot be reached ({error}): check that it runs, and REDIS_URL."
        case DBAPIError():
            state = getattr(error.orig, "sqlstate", None) or ("08" if error.connection_invalidated else "")
            advice = next((text for start, text in DATABASE_ADVICE.items() if state.startswith(start)), None)
            reason = str(error.orig).partition(": ")[2] or str(error.orig)
            return f"PostgreSQL: {reason} ({advice})." if advice else None
        case ConnectionError() | TimeoutError():
            return f"PostgreSQL cannot be reached ({error}): {CHECK_DATABASE}."
        case OSError():
            return str(error)
    return None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plan-de-charge", prog_name="plancharge")
def cli() -> None:
    """Plan de Charge: who works on what, month by month, and where the plan breaks.

    Settings come from the environment; .env.example lists them all. Start with `plancharge dev`.
    """


@cli.command("dev")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".plancharge"),
    show_default=True,
    help="Where the data is kept.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8200, show_default=True, help="Port to listen on.")
def dev_command(data: Path, host: str, port: int) -> None:
    """Run everything on this machine: PostgreSQL, Valkey, migrations, a demo company, web server and worker.

    DATABASE_URL and REDIS_URL, when set, replace the embedded servers.
    """
    dev.run(data, host, port)


@cli.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8200, show_default=True, help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option(
    "--metrics-folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where several workers share their metrics.",
)
def serve_command(host: str, port: int, workers: int, metrics_folder: Path | None) -> None:
    """Run the web server."""
    serving.serve(read_settings(), host, port, workers, metrics_folder)


@cli.command("worker")
def worker_command() -> None:
    """Run the worker: jobs and schedules."""
    worker.run(read_settings())


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema, and write permissions, shipped roles and first settings."""
    asyncio.run(migrate(read_settings()))
    click.echo("The database is up to date.")


@cli.command("create-admin")
@click.option("--email", required=True, help="Address to sign in with.")
@click.option("--first-name", required=True, help="First name.")
@click.option("--last-name", required=True, help="Last name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def create_admin_command(email: str, first_name: str, last_name: str, password_stdin: bool) -> None:
    """Create an administrator, who must change the password at the first sign-in."""
    settings = read_settings()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    asyncio.run(create_admin(settings, email, first_name, last_name, password))
    click.echo(f"Created {email}; the password must be changed at the first sign-in.")


def _date(_context: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise click.BadParameter("give a day such as 2026-03-31") from error


def _month(_context: click.Context, _parameter: click.Parameter, value: str) -> date:
    try:
        return date.fromisoformat(f"{value}-01")
    except ValueError as error:
        raise click.BadParameter("give a month such as 2025-01") from error


@cli.command("seed")
@click.option("--users", default=300, show_default=True, type=click.IntRange(1, 100_000), help="People.")
@click.option("--projects", default=120, show_default=True, type=click.IntRange(1, 20_000), help="Projects.")
@click.option("--from", "first", default="2025-01", show_default=True, callback=_month, help="First month.")
@click.option("--months", default=36, show_default=True, type=click.IntRange(1, 120), help="How many months.")
@click.option("--as-of", callback=_date, help="The day the company is seen from; today unless given.")
@click.option("--demo", is_flag=True, help="Also create the demo sign-ins (never in production).")
@click.option("--json", "as_json", is_flag=True, help="Print how many rows were written as JSON.")
def seed_command(
    users: int, projects: int, first: date, months: int, as_of: date | None, demo: bool, as_json: bool
) -> None:
    """Fill an empty database with a believable company; the same arguments give the same rows."""
    settings = read_settings()
    today = as_of or datetime.now(settings.timezone).date()
    wanted = seed.Demo(users, projects, first, months, today, accounts=demo)
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=100, label="Writing the company", file=sys.stderr, hidden=hidden) as bar:
        summary = asyncio.run(
            seed.write(settings, wanted, lambda share: bar.update(max(0, int(share * 100) - bar.pos)))
        )
    click.echo(json.dumps(summary) if as_json else ", ".join(f"{count} {name}" for name, count in summary.items()))


@cli.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print each difference as a line of JSON.")
def verify_command(as_json: bool) -> None:
    """Compute every capacity and expected load anew, and compare with what is stored. Exit code 3 on a difference."""
    found = asyncio.run(_verify(read_settings(), as_json))
    if found:
        raise click.exceptions.Exit(EXIT_DIFFERENCES)


async def _verify(settings: Settings, as_json: bool) -> int:
    people = found = 0

    def note(done: int) -> None:
        nonlocal people
        people = done
        if sys.stderr.isatty():
            click.echo(f"\r{done} people ...", nl=False, err=True)

    async for difference in verify(settings, note):
        found += 1
        fields = asdict(difference)
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        click.echo(json.dumps(fields, default=str) if as_json else text)
    click.echo(f"{people} people checked, {found} differences.", err=as_json)
    return found


@cli.command("sync")
@click.argument("provider", type=click.Choice(["payfit", "gryzzly"]))
@click.option("--json", "as_json", is_flag=True, help="Print what became of the records as JSON.")
def sync_command(provider: str, as_json: bool) -> None:
    """Bring over what PayFit or Gryzzly holds, and wait for the end."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=100, label=provider, file=sys.stderr, hidden=hidden) as bar:

        def show(run: SyncRunRow) -> None:
            bar.update(max(0, int(run.progress) - bar.pos))

        run = asyncio.run(sync_now(read_settings(), Provider[provider.upper()], show))
    if as_json:
        click.echo(json.dumps({"id": str(run.id), "state": run.state, "message": run.message, "counts": run.counts}))
    else:
        for kind, counts in run.counts.items():
            numbers = ", ".join(f"{number} {name}" for name, number in counts.items())
            click.echo(f"{kind.lower()}: {numbers}")
    if run.state is not SyncState.SUCCEEDED:
        raise click.ClickException(f"The sync ended as {run.state.value}. {run.message or ''}".strip())


@cli.command("simulate")
@click.argument("provider", type=click.Choice(["payfit", "gryzzly"]))
@click.option("--port", default=8301, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen on.")
@click.option(
    "--scenario", default="normal", show_default=True, type=click.Choice(list(SCENARIOS)), help="How it misbehaves."
)
def simulate_command(provider: str, port: int, scenario: str) -> None:
    """Run a simulated PayFit or Gryzzly with a made-up company, for trying clients out; the key is simulated-key."""
    simulator.serve(provider, port, scenario)


@cli.command("export-schema")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; standard output unless given.")
@click.option("--check", is_flag=True, help="Only compare with --output; exit code 3 when they differ.")
def export_schema_command(output: Path | None, check: bool) -> None:
    """Print the GraphQL schema with its directives."""
    from schema import build_schema  # here, since it takes as long as all other imports and two commands need it

    text = build_schema().as_str() + "\n"
    if output is None:
        click.echo(text, nl=False)
    elif not check:
        output.write_text(text, encoding="utf-8")
    elif not output.exists() or output.read_text(encoding="utf-8") != text:
        click.echo(f"{output} is not what the code says: run `make schema` and review the difference.", err=True)
        raise click.exceptions.Exit(EXIT_DIFFERENCES)


@cli.command("persist")
@click.argument("documents", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("trusted-documents.json"),
    show_default=True,
    help="The file that TRUSTED_DOCUMENTS names.",
)
@click.option("--replace", is_flag=True, help="Start anew; otherwise documents of earlier releases stay.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def persist_command(documents: tuple[Path, ...], output: Path, replace: bool, as_json: bool) -> None:
    """Add DOCUMENTS (.graphql files) to the allow-list of trusted documents.

    Exit code 3 when one does not fit the schema; then nothing is written.
    """
    from schema import build_schema  # as above
    from schema.persisted import persist

    results = persist(build_schema()._schema, documents, output, replace=replace)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in results], default=str))
    else:
        for each in results:
            click.echo(f"{each.hash}  {each.path}" if not each.problems else f"{each.path}: {'; '.join(each.problems)}")
    if any(each.problems for each in results):
        raise click.exceptions.Exit(EXIT_DIFFERENCES)


if __name__ == "__main__":
    main()
