"""The names of secrets, and of the master keys that seal them."""

from __future__ import annotations

from typing import Final

NAME_PATTERN: Final = "[A-Za-z_][A-Za-z0-9_.-]{0,127}"
"""What a secret may be called, as a regular expression."""

KEY_ID_PATTERN: Final = "[A-Za-z0-9_.-]{1,64}"
"""What a master key may be called, as a regular expression."""
