"""A provider's request body, taken apart.

In: request and answer bodies. Out: texts, tools, media and formats, as plain structures.
Open bodies.py first.
"""
