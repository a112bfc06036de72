"""Prices as people read them."""


def show(cents: int) -> str:
    """A price with its currency: `12.90 EUR`."""
    return f"{cents // 100}.{cents % 100:02d} EUR"
