"""Where new cost maps come from, and whether one may be trusted.

In: a URL or a file. Out: a new version, or a refusal with its reason.
Open pull.py first.
"""
