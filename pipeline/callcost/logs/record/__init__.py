"""One record as one call: the tables that a dialect is made of, and what reads them.

In: a decoded record. Out: a call, or the records that an envelope holds.
Open dialect.py first.
"""
