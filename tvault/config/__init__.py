"""`tvault.toml` as frozen dataclasses, and the keys it refers to.

`load` reads and judges the whole file before anything starts; `read_keys` reads the key material.
Only the command line and the wiring of a node read the configuration.
"""

from tvault.config.keyfiles import Keys, read_keys
from tvault.config.loading import config_path, load
from tvault.config.settings import SECTIONS, SETTINGS, Section, Setting
from tvault.config.shapes import (
    Address,
    Config,
    KeyReference,
    KeyReferences,
    Limits,
    NodeConfig,
    OwnerConfig,
    StoreConfig,
    Timing,
)
from tvault.config.writing import render

__all__ = [
    "SECTIONS",
    "SETTINGS",
    "Address",
    "Config",
    "KeyReference",
    "KeyReferences",
    "Keys",
    "Limits",
    "NodeConfig",
    "OwnerConfig",
    "Section",
    "Setting",
    "StoreConfig",
    "Timing",
    "config_path",
    "load",
    "read_keys",
    "render",
]
