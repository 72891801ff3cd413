"""Slow, literal transcriptions of the papers, to which the fast engines are compared."""
