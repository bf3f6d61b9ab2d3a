"""Commands that ask a source again: SQL, two sets of calls compared, the same calls otherwise.

In: a source and a question. Out: rows on stdout or in a file.
Open query.py first.
"""
