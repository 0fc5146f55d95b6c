"""How days and ratios are rounded, and the bounds of what people may state."""

from decimal import ROUND_HALF_UP, Decimal

NO_DAYS = Decimal("0.00")
MAX_STATED_DAYS = Decimal(31)
MAX_RATE = Decimal(100)

_CENT = Decimal("0.01")
_RATIO = Decimal("0.0001")


def to_days(x: Decimal) -> Decimal:
    """Days rounded half up (away from zero) to two places; never a negative zero, which would print as "-0.00"."""
    return x.quantize(_CENT, ROUND_HALF_UP) or NO_DAYS


def to_ratio(x: Decimal) -> Decimal:
    """A ratio rounded half up to four places; never a negative zero."""
    return x.quantize(_RATIO, ROUND_HALF_UP) or Decimal("0.0000")


def fits_cents(x: Decimal) -> bool:
    """Whether two decimals are enough; 5.000 is, because its value needs none."""
    return x == x.quantize(_CENT, ROUND_HALF_UP)


def fits_step(days: Decimal, step: Decimal | None) -> bool:
    """Whether `days` is a multiple of the company's step; no step means that any value fits."""
    return step is None or days % step == 0
