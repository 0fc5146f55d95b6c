"""Access tokens: short-lived JWTs that name a user and a session; what these may do is asked of the database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from server.errors import Unauthenticated
from server.ids import new_id
from server.settings import Settings

ALGORITHM = "HS256"
ISSUER = "plancharge"
AUDIENCE = "plancharge-api"
TYPE = "access"
LONGEST = 4096
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "typ", "iat", "nbf", "exp"]
_REFUSAL = "The access token is not valid: sign in again."


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: UUID
    session_id: UUID
    expires_at: float
    """seconds since the epoch"""


def issue(settings: Settings, user_id: UUID, session_id: UUID, now: float | None = None) -> tuple[str, int]:
    """The token, signed by the first key, and its life in seconds."""
    key_id, secret = next(iter(settings.signing_keys.items()))
    issued = int(time.time() if now is None else now)
    life = settings.access_token_minutes * 60
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": str(new_id()),
        "typ": TYPE,
        "iat": issued,
        "nbf": issued,
        "exp": issued + life,
    }
    return jwt.encode(claims, secret, ALGORITHM, headers={"kid": key_id}), life


def read(settings: Settings, token: str) -> Claims:
    """Raises Unauthenticated for anything but a token of ours, of this type, in its time, under a key we still have."""
    if len(token) > LONGEST:
        raise Unauthenticated(_REFUSAL)
    try:
        secret = settings.signing_keys[_key_id(token)]
        # The algorithm is ours to fix: a token that chose it could choose `none`.
        claims = jwt.decode(
            token, secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options={"require": _REQUIRED}
        )
        if claims["typ"] != TYPE:
            raise Unauthenticated("This is not an access token: send the one that login or refresh gave.")
        return Claims(UUID(claims["sub"]), UUID(claims["sid"]), float(claims["exp"]))
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The access token has expired: refresh it, or sign in again.") from None
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, AttributeError):
        raise Unauthenticated(_REFUSAL) from None


def _key_id(token: str) -> str:
    header: dict[str, Any] = jwt.get_unverified_header(token)
    return str(header["kid"])
