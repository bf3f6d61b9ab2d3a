"""How text becomes tokens: vocabularies, framing, and a pool in which no item runs forever. No Polars here."""
