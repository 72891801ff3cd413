"""What can be found by asking alone, without a gradient?"""
