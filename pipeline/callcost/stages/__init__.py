"""The steps from a log to a report: each takes a table and gives a table.

In: inputs and options. Out: facts, verdicts, charges, spend.
Open tasks.py first.
"""
