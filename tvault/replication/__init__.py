"""Chain replication of one journal in views that a majority agrees on: a pure state machine."""
