"""Books that tests make: the columns of tables of corrections."""

COLUMNS = (
    "model", "provider", "field", "value", "from", "to", "condition", "kind", "source", "confidence", "recorded_on",
    "event",
)  # fmt: skip
