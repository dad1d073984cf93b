import unittest

from till.cart import Cart
from till.prices import PRICES


class CartTest(unittest.TestCase):
    def test_an_empty_cart_costs_nothing(self):
        self.assertEqual(Cart().total(), 0)

    def test_a_cart_costs_what_is_in_it(self):
        cart = Cart()
        cart.add("apple", 3)
        cart.add("bread")
        self.assertEqual(cart.total(), 3 * PRICES["apple"] + PRICES["bread"])

    def test_what_the_shop_does_not_have_cannot_be_bought(self):
        with self.assertRaises(ValueError):
            Cart().add("moon")
