"""Inputs cut into splits, and splits read in windows of records.

In: inputs. Out: calls, facts, rejects and tallies, a window at a time.
Open windows.py first.
"""
