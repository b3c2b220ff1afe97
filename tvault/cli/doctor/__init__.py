"""`tvault doctor`: what may keep a vault from its work, looked for before and during service."""

from tvault.cli.doctor.main import command

__all__ = ["command"]
