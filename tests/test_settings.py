"""Settings: what a start is refused for, and that the documents say what the code does."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.document_settings import rendered
from server.settings import Settings, SettingsError, read_settings

STRONG = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
GIVEN = {
    "PLANCHARGE_ENV": "production",
    "DATABASE_URL": f"postgresql://plancharge:{STRONG}@db:5432/plancharge",
    "REDIS_URL": "redis://redis:6379/0",
    "JWT_KEYS": f"2026:{STRONG}",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the settings from an environment that holds GIVEN and `values`; None unsets a variable."""

    def read(**values: str | None) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in {**GIVEN, **values}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return read_settings()

    return read


def test_a_complete_environment_is_read(read: Any) -> None:
    settings = read(CORS_ORIGINS="https://a.test, https://b.test", METRICS_TOKEN="", PUBLIC_URL="https://plan.test/")
    assert settings.database_url == f"postgresql+asyncpg://plancharge:{STRONG}@db:5432/plancharge"
    assert settings.cors_origins == ("https://a.test", "https://b.test")
    assert settings.metrics_token is None
    assert settings.public_url == "https://plan.test"
    assert settings.signing_keys == {"2026": STRONG}


def test_the_first_key_signs_and_all_verify(read: Any) -> None:
    assert list(read(JWT_KEYS=f"new:{STRONG}, old:{STRONG[::-1]}").signing_keys) == ["new", "old"]


def test_sslmode_is_understood_as_libpq_writes_it(read: Any) -> None:
    settings = read(DATABASE_URL="postgres://u:p@h/d?a=b&sslmode=require")
    assert settings.database_url == "postgresql+asyncpg://u:p@h/d?a=b&ssl=require"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"DATABASE_URL": None}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL must start with postgresql://"),
        ({"DATABASE_URL": "postgresql://h:x/d"}, "DATABASE_URL Port could not be cast"),
        ({"DATABASE_URL": "postgresql://u:plancharge123@h/d"}, "DATABASE_URL has a password that stands in public"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL must start with redis://"),
        ({"JWT_KEYS": None}, "JWT_KEYS is not set"),
        ({"JWT_KEYS": ""}, "JWT_KEYS is not set"),
        ({"JWT_KEYS": STRONG}, "JWT_KEYS must be id:secret"),
        ({"JWT_KEYS": f"a:{STRONG},{STRONG}"}, "JWT_KEYS must be id:secret"),
        ({"JWT_KEYS": f"a:{STRONG},a:{STRONG[::-1]}"}, "JWT_KEYS names one key id twice"),
        ({"JWT_KEYS": "a:short"}, "JWT_KEYS: the secret of key a is weak"),
        ({"JWT_KEYS": f"a:{STRONG},b:{'ab' * 40}"}, "JWT_KEYS: the secret of key b is weak"),
        ({"JWT_KEYS": "a:please-change-me-0123456789abcdefghi"}, "JWT_KEYS: the secret of key a is weak"),
        ({"METRICS_TOKEN": "metrics"}, "METRICS_TOKEN is weak"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS: list the origins"),
        ({"COMPANY_TIMEZONE": "Paris"}, "COMPANY_TIMEZONE must be an IANA zone"),
        ({"PUBLIC_URL": "plan.test"}, "PUBLIC_URL must start with http"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"ACCESS_TOKEN_MINUTES": "0"}, "ACCESS_TOKEN_MINUTES"),
    ],
)
def test_a_start_is_refused_with_the_variable_and_without_its_value(
    read: Any, values: dict[str, str | None], message: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(**values)
    assert message in str(refused.value)
    assert STRONG not in str(refused.value)
    assert "plancharge123" not in str(refused.value)


def test_outside_production_short_secrets_are_taken(read: Any) -> None:
    assert read(PLANCHARGE_ENV="development", JWT_KEYS="a:short").signing_keys == {"a": "short"}


def test_the_documents_say_what_the_code_says() -> None:
    for path, text in rendered().items():
        assert path.read_text(encoding="utf-8") == text, "run `make settings`"
