"""Sentences about runs, staged records and what becomes of them."""
