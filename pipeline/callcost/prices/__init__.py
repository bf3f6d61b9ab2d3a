"""What things cost and since when. No Polars here.

In: a model's name, a moment, a usage. Out: rates and charges as exact decimals.
Open charges.py first.
"""
