"""The facts table: its columns, numbers for text, and its files between tasks.

In: calls and rejects. Out: one row per charge line, as a table or a file.
Open facts.py first.
"""
