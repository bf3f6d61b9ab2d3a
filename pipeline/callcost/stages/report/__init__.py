"""Priced facts summed and published.

In: priced facts. Out: spend per group, calls per day, files and tables, one call explained.
Open spend.py first.
"""
