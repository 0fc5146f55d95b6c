"""Capacity, load, and the plan that sets one against the other."""
