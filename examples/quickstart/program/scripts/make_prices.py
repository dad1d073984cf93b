"""Writes till/prices.py from prices.csv."""

import csv

with open("prices.csv", newline="", encoding="utf-8") as table:
    prices = [(row["item"], int(row["cents"])) for row in csv.DictReader(table)]

with open("till/prices.py", "w", encoding="utf-8") as module:
    module.write('"""Prices in cents. Written by scripts/make_prices.py; do not edit."""\n\nPRICES = {\n')
    module.writelines(f'    "{item}": {cents},\n' for item, cents in prices)
    module.write("}\n")
print(f"{len(prices)} prices")
