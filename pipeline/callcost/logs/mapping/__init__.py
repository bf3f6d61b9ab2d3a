"""Mapping files: logs of a user's own shape, and drafts of such files.

In: a TOML file, or records of an unknown shape. Out: a dialect, or a draft.
Open mapping_file.py first.
"""
