"""Facts priced: each charge line with the rates of its day.

In: facts and a price book. Out: the same facts with costs, status, reason and basis.
Open price_facts.py first.
"""
