"""How does a customer's file of examples become numbers, texts and labels that an analysis can trust?

`told.py` says which format a file is, `formats.py` lists the formats, `dataset.py` makes the canonical form of any.
"""
