"""What the shop promises."""

import unittest

from shop.cart import Cart
from shop.catalog import by_title
from shop.prices import show
from shop.shipping import cost


class ShopTest(unittest.TestCase):
    """One test a module."""

    def test_a_book_is_found_by_its_title(self) -> None:
        book = by_title("Walden")
        self.assertEqual(book and book.author, "Henry David Thoreau")

    def test_a_cart_adds_up(self) -> None:
        cart = Cart()
        cart.add(990, count=2)
        self.assertEqual(cart.total(), 1980)

    def test_heavy_parcels_cost_more(self) -> None:
        self.assertEqual(cost(1000, grams=250), 410)

    def test_a_price_has_two_digits_of_cents(self) -> None:
        self.assertEqual(show(1290), "12.90 EUR")
