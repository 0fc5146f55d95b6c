"""Roles, sign-in, refresh rotation and API tokens."""
