"""Where faces are and what their mouths do."""
