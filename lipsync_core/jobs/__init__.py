"""What is to be done: the pairs of a manifest."""
