"""Faults on purpose, against real processes: `python -m faults` kills, pauses and fills, and says what was kept."""
