"""What separates the bill's prices from ours: steps over all cells, then hypotheses about one day of a model.

In: cells and our price book. Out: findings, and lots with the prices that the bill asks.
Open price_steps.py first.
"""
