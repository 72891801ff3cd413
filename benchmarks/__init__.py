"""How fast is it, against the peer and the floor, in one run on one machine?"""
