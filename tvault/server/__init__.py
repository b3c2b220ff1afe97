"""A running node: client API, peer API, and the one thread that drives the replica."""
