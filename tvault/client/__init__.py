"""The library for users of a running vault, and what the command line is made of."""
