"""What runs, who runs it, and how does it end? One table, one way to change its state, and what follows from that."""
