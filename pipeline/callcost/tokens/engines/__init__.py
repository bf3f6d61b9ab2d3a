"""Vocabularies and the encoders over them; no text holds a run up.

In: texts. Out: numbers of tokens, or tokens.
Open text_counter.py first.
"""
