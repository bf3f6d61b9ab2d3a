"""The one room that speaks HTTP, and only where a person asks for it by name: cost maps, and bills.

In: an address, a key. Out: a price version, files of a bill, or a refusal with its reason.
Open http.py first.
"""
