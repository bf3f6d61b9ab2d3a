"""Words in, words out; no arithmetic."""
