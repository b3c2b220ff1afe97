"""A distributed token vault: deterministic tokens, kept on a chain of durable nodes."""
