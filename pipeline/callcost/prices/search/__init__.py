"""How a log's name of a model becomes a cost map's.

In: a name with its provider and region. Out: the names that a map may list it by, best first.
Open name_ladder.py first.
"""
