"""What a person reads: progress, tables, summaries, events of a log.

In: results and manifests of jobs. Out: lines on stderr, or JSON events.
Open summary.py first.
"""
