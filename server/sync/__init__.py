"""Bringing over what PayFit and Gryzzly know: runs, staging, the difference, people, conflicts."""
