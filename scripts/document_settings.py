"""Writes .env.example and docs/settings.md from the descriptions in server/settings.py; --check only compares."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from server.settings import Settings

ROOT = Path(__file__).resolve().parent.parent

ENV_HEAD = """\
# Every setting of Plan de Charge; docs/settings.md is the same as a table. Written by `make settings`.
# For docker compose: copy to `.env` and set the two that it asks for, POSTGRES_PASSWORD and JWT_KEYS; it makes
# DATABASE_URL and REDIS_URL by itself. `make run` needs none of them.

# Password of the database that docker compose starts.
POSTGRES_PASSWORD=
"""
TABLE_HEAD = """\
# Settings

Settings are environment variables, read by `server/settings.py` alone. `plancharge dev` (and so `make run`) needs none
of them. `.env.example` has the same list to copy from. This page is written by `make settings`.

| variable | default | what it does |
|---|---|---|
"""
TABLE_FOOT = """
A production start (`PLANCHARGE_ENV=production`, the default) is refused with a weak secret: fewer than 32 characters,
few different ones, or a database password that stands in public documents. `openssl rand -hex 32` makes a good one.

`FORWARDED_ALLOW_IPS` is uvicorn's own: the addresses of the reverse proxies whose `X-Forwarded-For` is believed.
"""


def variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return alias if isinstance(alias, str) else name.upper()


def default(field: FieldInfo) -> str | None:
    """As one would write it in the environment; None when there is none and the setting must be given."""
    if field.is_required():
        return None
    value: Any = field.default
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, ()) else str(value)


def rendered() -> dict[Path, str]:
    env, table = [ENV_HEAD], [TABLE_HEAD]
    for name, field in Settings.model_fields.items():
        value = default(field)
        needed = value is None
        shown = "*must be set*" if needed else f"`{value}`" if value else "not set"
        env.append(f"\n# {field.description}.\n{'' if needed else '# '}{variable(name, field)}={value or ''}\n")
        table.append(f"| `{variable(name, field)}` | {shown} | {field.description}. |\n")
    return {ROOT / ".env.example": "".join(env), ROOT / "docs" / "settings.md": "".join([*table, TABLE_FOOT])}


def main() -> int:
    files = rendered()
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what server/settings.py says: run `make settings`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
