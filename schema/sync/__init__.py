"""Syncs as GraphQL shows them."""
