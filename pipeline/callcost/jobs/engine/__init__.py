"""What all verbs share: plan, map, reduce, manifest, a folder that keeps what is done.

In: options and inputs. Out: settled calls, partial spends and the record of the run.
Open map_reduce.py first.
"""
