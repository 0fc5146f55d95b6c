"""Typed, paged clients of PayFit and Gryzzly, and simulators of both; imports nothing of the rest of this product."""
