"""Whether a new cost map may be trusted; who fetches it is for net/.

In: a map as a file. Out: what speaks against it.
Open checks.py first.
"""
