"""Our cost beside the logged cost and the bill, and the gap split by cause.

In: priced facts and lines of bills. Out: cells, causes that sum to each difference, evidence.
Open comparison.py first.
"""
