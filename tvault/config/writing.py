"""The text of a `tvault.toml`, with each setting explained from the table of settings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from tvault.config.settings import SECTIONS, Section, settings_of

Given = str | Sequence[str]
"""What `render` is given for one setting."""

_WIDTH = 100


def render(
    single: Mapping[str, Mapping[str, Given]],
    repeated: Mapping[str, Sequence[Mapping[str, Given]]],
    *,
    write_defaults: bool = False,
) -> str:
    """A configuration with comments.

    `single` holds the settings of plain sections by section and name, `repeated` those of `[[…]]`
    sections.  Settings with a default stand behind `#`, unless `write_defaults`.
    """
    parts = ["# Read at start, never while running. Every node reads a file with the same content."]
    for section in SECTIONS:
        if section.repeated:
            parts += _repeated(section, repeated[section.name])
        else:
            parts.append(
                _table(section, single.get(section.name, {}), mark="" if write_defaults else "# ")
            )
    return "\n\n".join(parts) + "\n"


def _repeated(section: Section, tables: Sequence[Mapping[str, Given]]) -> list[str]:
    """The first table is explained, the others only written."""
    parts = []
    for index, table in enumerate(tables):
        lines = [*_comment(section.help), section.header] if index == 0 else [section.header]
        for setting in settings_of(section.name):
            if index == 0:
                lines += _comment(setting.help)
            lines.append(f"{setting.name} = {_toml(table[setting.name])}")
        parts.append("\n".join(lines))
    return parts


def _table(section: Section, table: Mapping[str, Given], mark: str) -> str:
    lines = [*_comment(section.help), section.header]
    for setting in settings_of(section.name):
        lines += _comment(setting.help)
        if setting.default is None:
            lines.append(f"{setting.name} = {_toml(table[setting.name])}")
        else:
            unit = f"  # {setting.unit}" if setting.unit else ""
            lines.append(f"{mark}{setting.name} = {setting.written_default}{unit}")
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]


def _toml(value: Given) -> str:
    """A TOML text or array of texts: a JSON string is a TOML basic string, but for U+007F."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def sample() -> str:
    """The sample file: three nodes on one machine, every setting with its default."""
    nodes = [
        {
            "id": f"n{n}",
            "api": f"127.0.0.1:{7100 + n}",
            "peer": f"127.0.0.1:{7200 + n}",
            "data": f"data/n{n}",
        }
        for n in (1, 2, 3)
    ]
    owners = [
        {"id": name, "api_keys": [f"sha256:{digit * 64}"]}
        for name, digit in (("clinic", "0"), ("lab", "1"))
    ]
    single: dict[str, dict[str, Given]] = {
        "cluster": {
            "id": "0a6f3c1e-5b7d-4e0f-9c2a-1d2e3f405162",
            "fields": ["ssn", "patient.mrn", "contacts[*].phone"],
        },
        "keys": {"token": "keys/token.key", "cluster": "keys/cluster.key", "master": "m1"},
    }
    masters = [{"id": "m1", "key": "keys/master-m1.key"}]
    repeated: dict[str, Sequence[Mapping[str, Given]]] = {
        "master_key": masters,
        "node": nodes,
        "owner": owners,
    }
    return render(single, repeated, write_defaults=True)
