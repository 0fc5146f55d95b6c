"""The planning rules as pure functions: standard library only, no clock, no session, `today` is an argument.

A month is a `datetime.date` on its first day, a quantity is a `Decimal` of days, a rate is a percentage.
"""
