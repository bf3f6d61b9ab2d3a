"""Every dated cost map, and what the user adds to it.

In: the bundled and the user's versions. Out: the entry and tariff of a model at a moment.
Open book.py first.
"""
