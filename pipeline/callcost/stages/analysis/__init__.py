"""Calls that were priced, looked at again: by SQL, two sets of them compared, budgets, what is to come.

In: calls of a source, what days cost. Out: charges by class, answers, differences split into their reasons, an outlook.
Open differences.py first.
"""
