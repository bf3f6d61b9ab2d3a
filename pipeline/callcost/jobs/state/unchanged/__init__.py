"""What a night takes over from the one before it, so that it settles and publishes only what changed.

In: the entries of a state, and what its last run kept. Out: all sums, and the calls of the days that changed.
Open settle_night.py first.
"""
