"""Single values as logs spell them: JSON, paths, times, numbers, key sets, addresses of APIs.

In: bytes or decoded values. Out: typed values, or a refusal with its reason.
Open scalars.py first.
"""
