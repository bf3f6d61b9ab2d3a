"""One small module per way of writing logs, and the registry of them, most specific first."""
