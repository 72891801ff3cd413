"""What would a language model say if it stopped after each of its blocks?"""
