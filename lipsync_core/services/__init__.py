"""What others offer over HTTP: their contracts, and calls that keep to them."""
