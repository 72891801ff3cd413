"""How little does it take to break a network? The engine of attacks, which knows networks only as functions."""
