"""Facts priced: each charge line with the rates of its day.

In: facts and a price book. Out: the same facts with costs, status, reason and basis, and one row per call.
Open price_facts.py first.
"""
