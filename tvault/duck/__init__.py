"""Values of a vault in DuckDB: views with recovered columns, and functions that find values and tokens.

with tvault.duck.attach(connection, vault):
    connection.sql("FROM vault.visits WHERE ssn_country = 'DE' LIMIT 10").show()
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from tvault.errors import VaultError

if TYPE_CHECKING:
    from tvault.duck.attached import Attached, attach
    from tvault.duck.recognition import Column, Found

__all__ = ["Attached", "Column", "Found", "attach"]

_missing = [name for name in ("duckdb", "pyarrow") if importlib.util.find_spec(name) is None]
if _missing:
    raise VaultError(
        "usage", f"tvault.duck needs {' and '.join(_missing)}: pip install 'tvault[duckdb]'"
    )

_HOMES = {"Column": "tvault.duck.recognition", "Found": "tvault.duck.recognition"}


def __getattr__(name: str) -> object:
    """The library, loaded once it is known that what it needs is there."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES.get(name, "tvault.duck.attached")), name)
    globals()[name] = found
    return found
