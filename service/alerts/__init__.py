"""Who is told when something changes, once, and how does the message get there without harm?"""
