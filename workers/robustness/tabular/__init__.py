"""How little must change in a row of a table, within the rules of its columns, until the model decides otherwise?"""
