"""Where a record of each dialect keeps what was missing.

In: a record as bytes and what to add. Out: the same bytes with it spliced in.
Open places.py first.
"""
