"""A small `tvault.toml`, what may be added to it, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvault.config import Config, load
from tvault.errors import VaultError

HASH_A, HASH_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64

MINIMAL = f"""\
[cluster]
id = "0a6f3c1e-5b7d-4e0f-9c2a-1d2e3f405162"
fields = ["ssn"]

[keys]
token = "keys/token.key"
cluster = "keys/cluster.key"
master = "m1"

[[node]]
id = "n1"
api = "127.0.0.1:7101"
peer = "127.0.0.1:7201"
data = "data/n1"

[[owner]]
id = "A"
api_keys = ["{HASH_A}"]

[[master_key]]
id = "m1"
key = "keys/master-m1.key"
"""

SECOND_NODE = """
[[node]]
id = "n2"
api = "127.0.0.1:7102"
peer = "127.0.0.1:7202"
data = "data/n2"
"""

SECOND_MASTER = """
[[master_key]]
id = "m2"
key = "keys/master-m2.key"
"""

SECOND_OWNER = f"""
[[owner]]
id = "B"
api_keys = [
  # the old one
  "{HASH_B}",
]
"""

TLS = """
[tls]
certificate = "tls/n.pem"
key = "tls/n.key"
"""


def load_text(folder: Path, text: str) -> Config:
    file = folder / "tvault.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def refusal(folder: Path, text: str) -> str:
    """What is said of the text, from the file's name on."""
    with pytest.raises(VaultError) as caught:
        load_text(folder, text)
    assert caught.value.code == "configuration"
    assert "\n" not in caught.value.detail
    return caught.value.detail.removeprefix(f"{folder}/")
