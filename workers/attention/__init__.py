"""Where does a network attend to, layer by layer, and what becomes of it over all layers?"""
