"""The only reader of the environment: settings are built once at the edge and passed down."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MINIMUM_SECRET_LENGTH = 32
DEMO_PASSWORD = "plan-de-charge-2026"  # noqa: S105 — published in the README; demo accounts exist outside production only


class Environment(StrEnum):
    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class SettingsError(Exception):
    """The environment does not make a valid configuration; the message says which variable to change."""


class Settings(BaseSettings):
    """Every setting, with its default; docs/settings.md is generated from the descriptions."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: Environment = Field(
        Environment.PRODUCTION,
        validation_alias="PLANCHARGE_ENV",
        description="production, development or test; production refuses weak secrets and demo accounts",
    )
    database_url: str = Field(
        description="PostgreSQL 15 or later, e.g. postgresql://plancharge:secret@localhost:5432/plancharge"
    )
    redis_url: str = Field(description="Redis or Valkey, e.g. redis://localhost:6379/0")
    jwt_keys: SecretStr = Field(
        description="Signing keys as id:secret, comma-separated; the first signs, all of them verify. "
        "To rotate, put a new one in front and drop the last after a refresh token's life"
    )
    public_url: str = Field(
        "http://127.0.0.1:8200", description="The address that people use; links in invitations start with it"
    )
    company_timezone: str = Field("Europe/Paris", description="Time zone of today, of schedules and of month limits")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Other sites' origins that may call the API from a browser, comma-separated; * is refused"
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token for /metrics; without it only loopback callers are answered"
    )
    access_token_minutes: int = Field(30, ge=1, le=120, description="Life of an access token")
    refresh_token_days: int = Field(7, ge=1, le=60, description="Life of a refresh token, and so of an idle session")
    invitation_hours: int = Field(72, ge=1, le=720, description="Life of a one-time invitation link")
    password_min_length: int = Field(12, ge=8, le=128, description="Shortest password accepted")
    password_min_classes: int = Field(
        2, ge=1, le=4, description="How many of lower case, upper case, digits, others a password must mix"
    )
    introspection: bool = Field(True, description="Whether signed-in callers may read the schema by introspection")
    max_body_bytes: int = Field(2_000_000, ge=10_000, description="Largest request body")
    max_tokens: int = Field(4_000, ge=100, description="Most tokens in a GraphQL document")
    max_depth: int = Field(12, ge=3, description="Deepest selection in a GraphQL document")
    max_aliases: int = Field(60, ge=1, description="Most aliases in a GraphQL document")
    statement_timeout_ms: int = Field(30_000, ge=100, description="PostgreSQL ends a statement that runs longer")
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections per process that are kept open")
    database_pool_overflow: int = Field(10, ge=0, le=200, description="Connections per process opened under load")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    demo_password: SecretStr = Field(
        SecretStr(DEMO_PASSWORD), description="Password of the demo sign-ins of `plancharge dev` and `seed --demo`"
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("must start with postgresql://")
        return f"postgresql+asyncpg://{rest}"

    @field_validator("company_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be an IANA zone such as Europe/Paris") from error
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS: list the origins that may call; * would admit every site")
        keys = self.signing_keys
        if not keys:
            raise ValueError("JWT_KEYS: give at least one key as id:secret")
        if self.environment is Environment.PRODUCTION:
            weak = [key for key, secret in keys.items() if _is_weak(secret)]
            if weak:
                raise ValueError(
                    f"JWT_KEYS: the secret of key {', '.join(weak)} is weak; use `openssl rand -hex 32` for each"
                )
        return self

    @property
    def signing_keys(self) -> dict[str, str]:
        """Key id -> secret, in the order given: the first signs, all verify."""
        pairs = (part.partition(":") for part in self.jwt_keys.get_secret_value().split(",") if part.strip())
        return {key.strip(): secret.strip() for key, _, secret in pairs if key.strip() and secret.strip()}

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.company_timezone)

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION


def _is_weak(secret: str) -> bool:
    return len(secret) < MINIMUM_SECRET_LENGTH or len(set(secret)) < 10 or "change" in secret.lower()


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` win over the environment.

    Raises SettingsError naming the variable, never its value: values may be secrets.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors(include_input=False, include_context=False, include_url=False):
            name = "_".join(str(part) for part in item["loc"]).upper()
            missing = "is not set" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
            lines.append(f"{name} {missing}".strip() if name else missing)
        raise SettingsError("; ".join(lines) + ". See .env.example for every setting.") from None
