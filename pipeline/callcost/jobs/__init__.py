"""One verb a file; each reads like the sentence that describes it.

In: options. Out: a result with its manifest, and files where the options ask for them.
Open report.py first.
"""
