"""Token counts as each API spells them, made to mean the same.

In: a usage object. Out: counts in which no token is counted twice.
Open usage.py first.
"""
