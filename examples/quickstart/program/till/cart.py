"""A cart: what is bought, and what it costs in cents."""

from till.prices import PRICES


class Cart:
    def __init__(self):
        self.items = []

    def add(self, name, count=1):
        if name not in PRICES:
            raise ValueError(f"there is no {name!r} in this shop")
        self.items.append((name, count))

    def lines(self):
        """Each item with its count and what it costs."""
        return [(name, count, count * PRICES[name]) for name, count in self.items]

    def total(self):
        return sum(cents for _, _, cents in self.lines())
