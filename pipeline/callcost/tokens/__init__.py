"""How text becomes tokens. No Polars here.

In: requests and answers. Out: token counts, with how sure each is.
Open model_families.py first.
"""
