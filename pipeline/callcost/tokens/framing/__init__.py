"""What each family of models adds around texts.

In: messages, tools and answers. Out: the pieces that are counted, and constants to add.
Open messages.py first.
"""
