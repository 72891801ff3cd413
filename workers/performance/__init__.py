"""How well does a classifier do, how sure is that, and can its probabilities be believed?"""
