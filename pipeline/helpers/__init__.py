"""The LiteLLM-shaped functions; nothing of their own. No Polars, even indirectly."""
