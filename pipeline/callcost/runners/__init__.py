"""Where work runs: processes of this machine, Spark, each task exactly once. Knows nothing about LLMs.

In: tasks and the function that does them. Out: their results, whatever is killed on the way.
Open local.py first.
"""
