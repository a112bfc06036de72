"""What a reader is about to buy."""

from dataclasses import dataclass, field


@dataclass
class Cart:
    """Prices in cents, one a book."""

    cents: "list[int]" = field(default_factory=list)

    def add(self, cents: int, count: int = 1) -> None:
        """Puts books into the cart."""
        self.cents.extend([cents] * count)

    def total(self) -> int:
        """What the books cost together."""
        return sum(self.cents)
