"""What tvault costs, measured beside its baselines in the same run: `python -m tests.bench --help`."""
