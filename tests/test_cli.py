"""The command line as a process: help, exit codes, JSON, and one clear line for what a person can mend."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import click
import pytest
from click.testing import CliRunner

from server.cli import cli
from server.database import Database
from server.settings import Settings
from tests.access.people import actions
from tests.conftest import PROJECT_ROOT
from tests.running import call, environment, free_port, run

COMMANDS = sorted(cli.commands)
NOBODY_LISTENS = "postgresql://plancharge:0123456789abcdef@127.0.0.1:1/plancharge"


def named(url: str, database: str) -> str:
    return url.rpartition("/")[0] + "/" + database


def one_line(stderr: str) -> str:
    """What a failed command says: a single line, without a traceback."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def test_the_commands_are_those_of_the_contract() -> None:
    contract = {"dev", "serve", "worker", "migrate", "seed", "create-admin", "verify", "export-schema"}
    assert contract <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"])
    assert done.exit_code == 0
    for parameter in cli.commands[command].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{command} {parameter.name} has no help"


def test_a_wrong_call_ends_with_2() -> None:
    assert call("seed", "--users", "many").returncode == 2


def test_a_missing_setting_is_named() -> None:
    done = call("migrate")
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr).startswith("DATABASE_URL is not set; REDIS_URL is not set; JWT_KEYS is not set.")


@pytest.mark.parametrize(
    ("how", "command"),
    [
        (run, ["migrate"]),  # one in a process of its own, to see that nothing else reaches the terminal
        (call, ["serve", "--port", str(free_port())]),
        (call, ["verify"]),
        (call, ["seed"]),
        (call, ["create-admin", "--email=a@b.test", "--first-name=A", "--last-name=B", "--password-stdin"]),
    ],
)
def test_an_unreachable_database_is_one_line(settings: Settings, how: Any, command: list[str]) -> None:
    done = how(*command, stdin="Rose-des-vents-84\n", **environment(settings, DATABASE_URL=NOBODY_LISTENS))
    assert done.returncode == 1
    message = one_line(done.stderr)
    assert message.startswith("PostgreSQL cannot be reached")
    assert "DATABASE_URL" in message
    assert "0123456789abcdef" not in done.stderr + done.stdout


def test_a_database_that_does_not_exist_and_a_wrong_password_say_what_to_check(settings: Settings) -> None:
    own = environment(settings)["DATABASE_URL"]
    absent = call("migrate", **environment(settings, DATABASE_URL=named(own, "absent")))
    assert one_line(absent.stderr) == 'PostgreSQL: database "absent" does not exist (create it, or check DATABASE_URL).'
    user, _, rest = own.partition("@")
    wrong = call("migrate", **environment(settings, DATABASE_URL=f"postgresql://plancharge:{'ab' * 10}@{rest}"))
    assert "check the user and the password in DATABASE_URL" in one_line(wrong.stderr)
    assert user not in wrong.stderr


async def test_a_schema_that_is_not_migrated_is_one_line(settings: Settings, migrated: None) -> None:
    own = environment(settings)["DATABASE_URL"]
    connection = await asyncpg.connect(own)
    await connection.execute("CREATE DATABASE empty")
    try:
        empty = environment(settings, DATABASE_URL=named(own, "empty"))
        done = await asyncio.to_thread(call, "serve", "--port", str(free_port()), **empty)
        assert done.returncode == 1
        assert "run `plancharge migrate` first" in one_line(done.stderr)
    finally:
        await connection.execute("DROP DATABASE empty")
        await connection.close()


async def test_create_admin_verify_and_seed(settings: Settings, database: Database) -> None:
    env = environment(settings)
    who = ["--email", "root@example.test", "--first-name", "Ro", "--last-name", "Ot", "--password-stdin"]
    weak = await asyncio.to_thread(call, "create-admin", *who, stdin="short\n", **env)
    assert weak.returncode == 1
    assert one_line(weak.stderr)
    assert await actions(database) == []
    created = await asyncio.to_thread(call, "create-admin", *who, stdin="Rose-des-vents-84\n", **env)
    assert (created.returncode, created.stderr) == (0, "")
    assert await actions(database) == ["user.created"]
    again = await asyncio.to_thread(call, "create-admin", *who, stdin="Rose-des-vents-84\n", **env)
    assert one_line(again.stderr) == "There is already a user with this e-mail address."
    checked = await asyncio.to_thread(call, "verify", "--json", **env)
    assert (checked.returncode, checked.stdout) == (0, "")
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO capacities (id, user_id, month, computed) SELECT gen_random_uuid(), id, '2026-03-01', 5"
            " FROM users"
        )
    differing = await asyncio.to_thread(call, "verify", "--json", **env)
    found = json.loads(differing.stdout.splitlines()[0])
    assert (differing.returncode, found["stored"], found["expected"]) == (3, "5.00", "0.00")
    refused = await asyncio.to_thread(call, "seed", "--users", "10", "--demo", **env)
    assert refused.returncode == 1
    assert "never created in production" in one_line(refused.stderr)


def test_export_schema_prints_writes_and_compares(tmp_path: Path) -> None:
    runner, target = CliRunner(), tmp_path / "schema.graphql"
    printed = runner.invoke(cli, ["export-schema"]).output
    assert "type Query {" in printed
    assert runner.invoke(cli, ["export-schema", "--check", "--output", str(target)]).exit_code == 3
    assert runner.invoke(cli, ["export-schema", "--output", str(target)]).exit_code == 0
    assert target.read_text() == printed
    assert runner.invoke(cli, ["export-schema", "--check", "--output", str(target)]).exit_code == 0
    target.write_text(printed + "# stale\n")
    assert runner.invoke(cli, ["export-schema", "--check", "--output", str(target)]).exit_code == 3


def test_the_committed_schema_is_what_the_code_says() -> None:
    snapshot = PROJECT_ROOT / "schema" / "schema.graphql"
    done = CliRunner().invoke(cli, ["export-schema", "--check", "--output", str(snapshot)])
    assert done.exit_code == 0, done.output
