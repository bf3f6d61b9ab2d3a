"""What things cost and since when: units, dated cost maps, names, charges. No Polars here."""
