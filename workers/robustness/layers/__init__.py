"""Where in a network does an attack land? Layer by layer, always beside random changes of equal norm."""
