"""The three errors that a provider's client raises, and the stable causes that a caller may group them by."""

from enum import StrEnum


class Cause(StrEnum):
    """Why a call failed: few and stable values, fit for an incident's key or a metric's label."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of a cause, not a secret  # nosec B105
    TOKEN_INACTIVE = "token_inactive"  # noqa: S105 - the name of a cause, not a secret  # nosec B105
    FORBIDDEN = "forbidden"
    SCOPE_MISSING = "scope_missing"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    REPEATED_PAGE = "repeated_page"


class ProviderError(Exception):
    """A call to a provider failed. The text says what to do and holds no id, no body and no personal data.

    `endpoint` is the template ("GET /companies/{companyId}/absences"), `status` the last HTTP status if one came,
    `retry_after` the seconds that the provider asked to wait, if it did.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        endpoint: str,
        cause: Cause,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.endpoint = endpoint
        self.cause = cause
        self.status = status
        self.retry_after = retry_after


class Unavailable(ProviderError):
    """The provider cannot answer now: try again later (after `retry_after` seconds when it is given)."""


class Rejected(ProviderError):
    """The request, or the answer to it, is wrong: repeating it will not help."""


class Unauthorized(ProviderError):
    """The key is not, or no longer, accepted, or lacks a scope: a person has to act. Never retried."""

    missing_scopes: tuple[str, ...] = ()
