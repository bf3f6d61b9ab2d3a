"""The pipeline itself: each stage takes a table and gives a table."""
