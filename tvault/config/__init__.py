"""`tvault.toml` as frozen structs, and the keys it refers to.

`load` reads and judges the whole file before anything starts; `read_keys` reads the key material.
Only the command line and the wiring of a node read the configuration.
"""

from tvault.config.keyfiles import Keys, judge_private, read_key, read_keys
from tvault.config.loading import config_path, exposure, load
from tvault.config.settings import SECTIONS, SETTINGS, Section, Setting
from tvault.config.shapes import (
    Address,
    Config,
    KeyReference,
    KeyReferences,
    Limits,
    LogConfig,
    MasterKeyConfig,
    NodeConfig,
    OwnerConfig,
    StoreConfig,
    Timing,
    Tls,
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
    "LogConfig",
    "MasterKeyConfig",
    "NodeConfig",
    "OwnerConfig",
    "Section",
    "Setting",
    "StoreConfig",
    "Timing",
    "Tls",
    "config_path",
    "exposure",
    "judge_private",
    "load",
    "read_key",
    "read_keys",
    "render",
]
