"""What is seen of attributions: PNGs where numbers lie over an input, figures as values everywhere else."""
