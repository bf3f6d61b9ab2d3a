"""Where work runs: shards, processes, retries. Knows nothing about LLMs."""
