"""How far must each example be moved to be broken?"""
