"""Prices in cents. Written by scripts/make_prices.py; do not edit."""

PRICES = {
    "apple": 40,
    "bread": 320,
    "cheese": 1275,
}
