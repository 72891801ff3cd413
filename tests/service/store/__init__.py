"""What does the store keep, and for whose eyes?"""
