"""The access token as the Python peers verify it: HS256, our issuer and audience, anew for each request."""

from __future__ import annotations

import os
from uuid import UUID

import jwt

KEYS = dict(pair.split(":", 1) for pair in os.environ.get("JWT_KEYS", "").split(",") if pair)
REQUIRED = ["iss", "aud", "sub", "sid", "jti", "typ", "iat", "nbf", "exp"]


def holder(authorization: str) -> UUID:
    """The user of an `Authorization` header. Raises jwt.InvalidTokenError or KeyError for any other token."""
    token = authorization.removeprefix("Bearer ")
    claims = jwt.decode(
        token,
        KEYS[jwt.get_unverified_header(token)["kid"]],
        algorithms=["HS256"],
        audience="plancharge-api",
        issuer="plancharge",
        options={"require": REQUIRED},
    )
    if claims["typ"] != "access":
        raise jwt.InvalidTokenError("not an access token")
    return UUID(claims["sub"])
