"""How does anybody check later what was measured, by whom and when? A log in a chain, signed heads, proofs."""
