"""Which words do the web side and the compute side share? Values only: pydantic, canonical JSON, nothing else."""
