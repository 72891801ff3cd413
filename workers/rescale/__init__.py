"""DeepLIFT by the rescale rule: one pass from the baseline, one from the input, one backward pass for every layer."""
