"""The fast reader: blocks of lines and row groups become facts without an object per row.

In: bytes of lines, or row groups of Parquet. Out: facts, and the rows that the record reader must read.
Open stretches.py first.
"""
