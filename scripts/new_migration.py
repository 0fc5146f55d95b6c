"""Writes a migration from what the models say beyond the newest one; compares on a scratch PostgreSQL of its own."""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from server.embedded import EmbeddedPostgres
from server.migrate import alembic_config, upgrade


def main() -> int:
    message = " ".join(sys.argv[1:]).strip()
    if not message:
        print('Say what it does: make migration NAME="projects get a colour"', file=sys.stderr)
        return 2
    number = len(list(ScriptDirectory.from_config(alembic_config()).walk_revisions())) + 1
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")[:24].rstrip("_")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "scratch", fast=True) as postgres:
        upgrade(postgres.url())
        script = command.revision(
            alembic_config(postgres.url()), message, autogenerate=True, rev_id=f"{number:04}_{slug}"
        )
    print(f"{getattr(script, 'path', script)}: read it, make it reversible, and run tests/test_migrations.py.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
