"""Sentences that read and write the plan."""
