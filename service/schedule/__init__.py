"""When is something due, and was it done? Times in a zone, slots that run once, triggers, and what was missed."""
