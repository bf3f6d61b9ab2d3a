"""Bodies of answers, whole or in chunks.

In: a provider's body, or the rows of a stream. Out: one body with its usage.
Open bodies.py first.
"""
