"""How the world writes down LLM calls: which files, which dialects, where each field stands. No Polars here."""
