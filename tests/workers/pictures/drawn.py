"""PNG bytes as pixels again, and how far a colour leans to blue or to orange."""

import io

import numpy as np
from PIL import Image


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def lean(colour):
    """Blue above zero, orange below, grey at zero."""
    red, _, blue = colour
    return blue - red
