"""How near the nearest adversarial is."""
