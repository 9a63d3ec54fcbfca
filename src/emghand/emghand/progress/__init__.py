"""A subject's progress over weeks: where a person stands, what is missing, how they got there."""
