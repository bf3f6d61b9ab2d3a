"""Turn command lines into options, and results into text; nothing is computed here.

In: words of a command line. Out: text on stdout and stderr, and an exit code.
Open root.py first.
"""
