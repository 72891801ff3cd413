"""The surrogate engine, on neighbourhoods that are made here."""
