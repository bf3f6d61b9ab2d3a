"""One command a file: its options, and the job that it calls.

In: options as words. Out: an exit code; what is printed is laid out in terminal/.
Open report.py first.
"""
