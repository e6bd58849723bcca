"""What makes two texts alike: a similarity shared out to their tokens."""
