"""How the world writes down LLM calls: which files, which dialects, where each field stands. No Polars here.

In: paths. Out: one outcome a record: a call, a reject, context or a fragment.
Open record_reader.py first.
"""
