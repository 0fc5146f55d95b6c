"""Opaque tokens: random, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import secrets


def new_token(prefix: str = "") -> str:
    """256 random bits: nobody guesses one, so a fast hash is enough to store it and no salt is needed to find it."""
    return prefix + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
