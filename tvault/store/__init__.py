"""A node's durable state: journal and rows in SQLite, the index in files, the promise beside them."""
