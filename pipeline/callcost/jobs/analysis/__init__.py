"""Commands that ask a source again: logs, a report that holds calls, or a state.

In: options, a query or two sets of calls. Out: tables.
Open compare.py first.
"""
