"""What tvault costs, measured beside a hand-written SQLite file in the same run."""
