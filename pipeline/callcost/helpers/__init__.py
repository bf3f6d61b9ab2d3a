"""The LiteLLM-shaped functions, with LiteLLM's names, parameters and return types.

In: one text, message list, answer or model name. Out: tokens, dollars, model facts. No Polars, even indirectly.
Open costs.py first.
"""
