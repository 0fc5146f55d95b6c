"""Servers written to be compared with ours."""
