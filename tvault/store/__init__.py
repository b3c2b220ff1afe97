"""What a node keeps: journal, rows and token index in SQLite, the promise file beside it."""
