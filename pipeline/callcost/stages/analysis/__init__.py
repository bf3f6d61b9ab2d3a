"""Calls that were priced, looked at again: by SQL, and two sets of them compared.

In: calls of a source. Out: charges by class, answers, differences split into their reasons.
Open differences.py first.
"""
