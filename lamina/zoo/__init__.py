"""Does every family of networks come in and get an answer? Small ones of each, built, exported, inspected and audited.

`families.py` is the list; a new family is a class in one of the files beside it and an entry there. `cells.py` runs
one, `parity.py` compares it with what it was exported from, `record.py` keeps what was found and writes docs/zoo.md.
"""
