"""What do all kinds of attribution share: what is asked, computed, certified, controlled, and told?"""
