"""Does work always end, once?"""
