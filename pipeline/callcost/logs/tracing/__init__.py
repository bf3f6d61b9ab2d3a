"""Spans and transcripts: attributes, texts and the talk that they belong to.

In: spans and transcript rows. Out: attributes as mappings, messages, conversations.
Open attributes.py first.
"""
