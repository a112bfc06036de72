"""What it costs to send books."""

BASE_CENTS = 390


def cost(total_cents: int, grams: int) -> int:
    """The postage in cents for an order of that worth and weight."""
    if total_cents <= 0:
        return 0
    return BASE_CENTS + 10 * (grams // 100)
