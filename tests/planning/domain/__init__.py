"""The planning rules, one module of tests for each module of rules."""
