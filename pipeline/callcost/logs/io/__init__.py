"""Files, folders and object stores, as records of bytes.

In: paths and URLs. Out: inputs, and their records with row and offset; what cannot be read is a reject.
Open inputs.py first.
"""
