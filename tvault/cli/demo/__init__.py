"""`tvault demo`: what a vault does, shown on a temporary cluster, each claim checked as it is made."""

from tvault.cli.demo.main import command

__all__ = ["command"]
