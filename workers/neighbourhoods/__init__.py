"""Where around an example LIME draws its samples, and what its surrogate reads of them."""
