"""The nightly report, which remembers what it read.

In: options, logs and a state folder. Out: the days that changed, published, and the state after it.
Open report.py first.
"""
