"""One file per verb, each reads like the sentence that describes it."""
