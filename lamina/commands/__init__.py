"""Which commands does `lamina` have? One file per subject; each imports what it needs only when it runs."""
