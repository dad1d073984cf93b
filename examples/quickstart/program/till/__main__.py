"""`python3 -m till apple=3 bread=1` tells what that costs."""

import sys

from till.cart import Cart


def main(arguments):
    cart = Cart()
    for argument in arguments:
        name, _, count = argument.partition("=")
        cart.add(name, int(count or 1))
    print(cart.total())


if __name__ == "__main__":
    main(sys.argv[1:])
