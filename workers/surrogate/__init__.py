"""The linear surrogate: fitted from samples, with its error, its stability and its verdict."""
