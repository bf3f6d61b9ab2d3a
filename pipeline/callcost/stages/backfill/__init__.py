"""Logs written again with what they lack.

In: records and what was counted and priced. Out: the same records, filled in.
Open fill.py first.
"""
