"""Pictures that a computation draws itself, as PNG: rasters, where numbers lie over an input."""
