"""Tokens counted where usage is missing, and how far off our counts are.

In: calls with their text. Out: the same calls with usage, its source and its error.
Open missing_usage.py first.
"""
