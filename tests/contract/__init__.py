"""The contract with clients, held against running nodes: every call, every refusal, every header."""
