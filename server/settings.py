"""The only reader of the environment: settings are built once at the edge and passed down."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MINIMUM_SECRET_LENGTH = 32
SCHEDULE = r"^(off|hourly:[0-5]\d|([01]\d|2[0-3]):[0-5]\d)$"
DEMO_PASSWORD = "plan-de-charge-2026"  # noqa: S105 — published in the README; demo accounts exist outside production only  # nosec B105
# Passwords that stand in documents and images: a database behind one of them is open to its readers.
PUBLISHED_PASSWORDS = {
    "secret",
    "password",
    "postgres",
    "plancharge",
    "plancharge123",
    "changeme",
    "change-me",
    "admin",
}


class Environment(StrEnum):
    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class SettingsError(Exception):
    """The environment does not make a valid configuration; the message says which variable to change."""


class Settings(BaseSettings):
    """Every setting, with its default; docs/settings.md is generated from the descriptions."""

    # env_ignore_empty: `METRICS_TOKEN=` in a compose file means "not set".
    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True)

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
    max_root_fields: int = Field(20, ge=1, description="Most fields at the root of a GraphQL operation")
    max_directives: int = Field(50, ge=1, description="Most directives in a GraphQL document")
    max_fields: int = Field(5_000, ge=100, description="Most fields of a GraphQL operation, fragments written out")
    max_cost: int = Field(
        100_000, ge=100, description="Most objects that a GraphQL operation may answer with, by the pages it asks for"
    )
    cost_per_minute: int = Field(
        1_000_000, ge=100, description="Cost that each user, API token or, not signed in, address may use in a minute"
    )
    trusted_documents: Path | None = Field(
        None, description="File of the documents that clients may run by their hash, written by `plancharge persist`"
    )
    trusted_documents_only: bool = Field(
        False, description="Whether no other documents are run; GraphiQL needs others, so not where people use it"
    )
    graphql_executor: Literal["compiled", "graphql-core"] = Field(
        "compiled",
        description="What runs operations: compiled, or graphql-core's own executor, the slow one to compare with",
    )
    response_cache_bytes: int = Field(
        64 * 2**20,
        ge=0,
        description="Memory per process for answers of planning and utilisation; 0 keeps none, and no ETags",
    )
    request_seconds: float = Field(
        25,
        ge=0.1,
        description="Longest that an operation may take; a server that stops waits 2 s more for those at hand",
    )
    statement_timeout_ms: int = Field(30_000, ge=100, description="PostgreSQL ends a statement that runs longer")
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections per process that are kept open")
    database_pool_overflow: int = Field(10, ge=0, le=200, description="Connections per process opened under load")
    database_pooler: str = Field(
        "none",
        pattern="^(none|transaction)$",
        description="transaction: DATABASE_URL leads to PgBouncer, or another pooler, in transaction mode; "
        "docs/scale.md says what else that takes",
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    payfit_api_key: SecretStr | None = Field(None, description="Customer key of PayFit; without it there is no sync")
    payfit_use_mock: bool = Field(
        False, description="Sync with a simulated PayFit over our own demo data; refused in production"
    )
    payfit_api_url: str = Field("https://partner-api.payfit.com", description="PayFit's API")
    payfit_oauth_url: str = Field("https://oauth.payfit.com", description="Where PayFit tells what the key may do")
    payfit_schedule: str = Field(
        "02:30", pattern=SCHEDULE, description="When PayFit is synced: 02:30 (daily), hourly:05, or off"
    )
    payfit_days_back: int = Field(90, ge=0, le=1000, description="How far back absences are read")
    payfit_days_ahead: int = Field(400, ge=0, le=1000, description="How far ahead absences are read")
    gryzzly_api_key: SecretStr | None = Field(None, description="Key of Gryzzly; without it there is no sync")
    gryzzly_use_mock: bool = Field(
        False, description="Sync with a simulated Gryzzly over our own demo data; refused in production"
    )
    gryzzly_api_url: str = Field("https://api.gryzzly.io/v1", description="Gryzzly's API")
    gryzzly_schedule: str = Field(
        "hourly:15", pattern=SCHEDULE, description="When Gryzzly is synced: hourly:15, 02:30 (daily), or off"
    )
    gryzzly_page_size: int = Field(200, ge=1, le=1000, description="Records asked for per call")
    gryzzly_days_back: int = Field(
        60, ge=0, le=1000, description="How far before the current month declared time is read"
    )
    smtp_url: SecretStr | None = Field(
        None, description="Mail server for news of failed syncs, e.g. smtp://user:secret@mail.example.org:587"
    )
    mail_from: str = Field("plan-de-charge@localhost", description="Sender of those mails")
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
        _ = urlsplit(value).port  # raises a ValueError where it is no port number
        # libpq's name for it, which every hosting company's address has; asyncpg knows it as `ssl`
        return f"postgresql+asyncpg://{rest}".replace("?sslmode=", "?ssl=").replace("&sslmode=", "&ssl=")

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("company_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be an IANA zone such as Europe/Paris") from error
        return value

    @field_validator("jwt_keys")
    @classmethod
    def _keys_are_pairs(cls, value: SecretStr) -> SecretStr:
        # Refused rather than skipped: a key that is silently left out signs everyone out.
        pairs = _pairs(value)
        if not pairs or any(not key or not secret for key, secret in pairs):
            raise ValueError("must be id:secret, or several of them separated by commas")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("names one key id twice")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS: list the origins that may call; * would admit every site")
        if self.trusted_documents_only and self.trusted_documents is None:
            raise ValueError("TRUSTED_DOCUMENTS_ONLY: name the file of the documents in TRUSTED_DOCUMENTS")
        if self.cost_per_minute < self.max_cost:
            raise ValueError("COST_PER_MINUTE is below MAX_COST: the dearest operations could never run")
        if self.is_production:
            self._refuse_weak_secrets()
            self._refuse_mocks()
        return self

    def _refuse_mocks(self) -> None:
        if self.payfit_use_mock or self.gryzzly_use_mock:
            raise ValueError("PAYFIT_USE_MOCK and GRYZZLY_USE_MOCK bring in made-up people: give the real keys")

    def _refuse_weak_secrets(self) -> None:
        advice = "use `openssl rand -hex 32`"
        weak = [key for key, secret in self.signing_keys.items() if _is_weak(secret)]
        if weak:
            raise ValueError(f"JWT_KEYS: the secret of key {', '.join(weak)} is weak; {advice} for each")
        if self.metrics_token is not None and _is_weak(self.metrics_token.get_secret_value()):
            raise ValueError(f"METRICS_TOKEN is weak; {advice}")
        if urlsplit(self.database_url).password in PUBLISHED_PASSWORDS:
            raise ValueError(f"DATABASE_URL has a password that stands in public documents; {advice}")

    @property
    def signing_keys(self) -> dict[str, str]:
        """Key id -> secret, in the order given: the first signs, all verify."""
        return dict(_pairs(self.jwt_keys))

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.company_timezone)

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION


def _pairs(keys: SecretStr) -> list[tuple[str, str]]:
    parts = (part.partition(":") for part in keys.get_secret_value().split(",") if part.strip())
    return [(key.strip(), secret.strip()) for key, _, secret in parts]


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
            name = str(item["loc"][0]).upper() if item["loc"] else ""
            missing = "is not set" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
            lines.append(f"{name} {missing}".strip() if name else missing)
        raise SettingsError("; ".join(lines) + ". docs/settings.md explains every setting.") from None
