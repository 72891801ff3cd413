"""What is kept? Typed tables, named questions asked of them, and bytes by digest."""
