"""Which records are the same call.

In: files of facts. Out: verdicts: which records stay, and why the others go.
Open rules.py first.
"""
