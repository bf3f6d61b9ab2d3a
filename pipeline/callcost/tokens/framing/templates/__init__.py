"""The templates by which open models and their hosts write a conversation as one text.

In: a prompt, or a call. Out: a text in which ``SPECIAL`` stands for each special token.
Open choice.py first.
"""
