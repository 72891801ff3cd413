"""How does a network do when its inputs are worse than those it was tested on?"""
