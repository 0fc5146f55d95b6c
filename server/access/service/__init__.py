"""What signing in does: sessions, passwords, API tokens and invitations, each in a module of functions."""

from server.access.service.api_tokens import create as create_api_token
from server.access.service.api_tokens import revoke as revoke_api_token
from server.access.service.invitations import Invitation, accept_invitation, create_admin, invite
from server.access.service.passwords import change_password
from server.access.service.sessions import Session, end_all, forget_expired, login, logout, refresh

__all__ = [
    "Invitation",
    "Session",
    "accept_invitation",
    "change_password",
    "create_admin",
    "create_api_token",
    "end_all",
    "forget_expired",
    "invite",
    "login",
    "logout",
    "refresh",
    "revoke_api_token",
]
