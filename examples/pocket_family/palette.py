"""Colours beyond the named ones."""

DARK = (40, 36, 40)
LIGHT = (250, 250, 246)


def mix(a, b, amount: float) -> tuple[int, int, int]:
    """Colour `a` with `amount` (0..1) of colour `b` in it."""
    return tuple(round(p + (q - p) * amount) for p, q in zip(a, b))
