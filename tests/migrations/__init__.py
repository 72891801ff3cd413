"""Do tables change without losing a row?"""
