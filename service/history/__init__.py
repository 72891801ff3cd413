"""What do many measurements say together? Lines, buckets of time, differences between versions, approved baselines."""
