"""Vocabularies, and the encoders that count with them, each text within its time.

In: texts. Out: numbers of tokens, or tokens.
Open text_counter.py first.
"""
