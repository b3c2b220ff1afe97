"""The kinds of settings: what each accepts and what it becomes.

`read` takes what the TOML parser found.  It raises `BadSetting` that says what was expected, never
what was found where that might be a key pasted into the wrong place.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tvault.config.shapes import Address, KeyReference
from tvault.model.fields import FieldPath, Fields, parse_path
from tvault.model.owners import valid_api_key_hash, valid_owner_id
from tvault.model.secret_names import KEY_ID_PATTERN

NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEY_ID = re.compile(KEY_ID_PATTERN, re.ASCII)
_KEY_ITSELF = re.compile(r"[0-9a-fA-F]{32,}|tvk_.*", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_EVERY_INTERFACE = {"0.0.0.0", "::"}  # noqa: S104 - refused below, never bound


class BadSetting(ValueError):
    """A setting's value is refused; `needle` is a text whose line shows it best, if there is one."""

    def __init__(self, reason: str, needle: str | None = None) -> None:
        super().__init__(reason)
        self.needle = needle


class Kind(Protocol):
    """One kind of setting: `expected` for people, `read` from TOML relative to the file's folder."""

    @property
    def expected(self) -> str: ...

    def read(self, raw: object, name: str, folder: Path) -> Any: ...


def _text(raw: object, expected: str) -> str:
    if not isinstance(raw, str):
        raise BadSetting(f"expected {expected}, not {_type_name(raw)}")
    return raw


def _texts(raw: object, expected: str) -> list[str]:
    if not isinstance(raw, list):
        raise BadSetting(f"expected {expected}, not {_type_name(raw)}")
    for position, item in enumerate(raw):
        if not isinstance(item, str):
            raise BadSetting(f"expected {expected}, but item {position} is {_type_name(item)}")
    return list(raw)


def _type_name(raw: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a text", list: "an array"}
    return names.get(type(raw), "a table" if isinstance(raw, dict) else "a date or time")


def _field_path(text: str) -> FieldPath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise BadSetting(f"field path {text!r}: {error}", text) from error


class Integer(msgspec.Struct, frozen=True):
    """An integer within bounds, both included."""

    least: int
    most: int

    @property
    def expected(self) -> str:
        return f"an integer from {self.least} to {self.most}"

    def read(self, raw: object, name: str, folder: Path) -> int:  # noqa: ARG002
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise BadSetting(f"expected {self.expected}, not {_type_name(raw)}")
        if not self.least <= raw <= self.most:
            raise BadSetting(f"expected {self.expected}")
        return raw


class Boolean(msgspec.Struct, frozen=True):
    """Yes or no."""

    expected: str = "true or false"

    def read(self, raw: object, name: str, folder: Path) -> bool:  # noqa: ARG002
        if not isinstance(raw, bool):
            raise BadSetting(f"expected {self.expected}, not {_type_name(raw)}")
        return raw


class Choice(msgspec.Struct, frozen=True):
    """One of some words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        *others, last = (f"'{word}'" for word in self.words)
        return f"{', '.join(others)} or {last}"

    def read(self, raw: object, name: str, folder: Path) -> str:  # noqa: ARG002
        text = _text(raw, self.expected)
        if text not in self.words:
            raise BadSetting(f"expected {self.expected}")
        return text


class ClusterId(msgspec.Struct, frozen=True):
    """A UUID in its usual text form."""

    expected: str = "a UUID such as '0a6f3c1e-5b7d-4e0f-9c2a-1d2e3f405162'"

    def read(self, raw: object, name: str, folder: Path) -> str:  # noqa: ARG002
        text = _text(raw, self.expected)
        try:
            parsed = uuid.UUID(text)
        except ValueError as error:
            raise BadSetting(f"expected {self.expected}") from error
        if str(parsed) != text:
            raise BadSetting(f"expected {self.expected}, in lower case with hyphens")
        return text


class FieldPaths(msgspec.Struct, frozen=True):
    """Paths of the fields whose values are replaced by tokens."""

    expected: str = "an array of field paths such as 'ssn', 'patient.mrn' or 'contacts[*].phone'"

    def read(self, raw: object, name: str, folder: Path) -> Fields:  # noqa: ARG002
        paths = [_field_path(text) for text in _texts(raw, self.expected)]
        try:
            return Fields(paths)
        except ValueError as error:
            raise BadSetting(str(error)) from error


class KeyPlace(msgspec.Struct, frozen=True):
    """A key file, relative to the configuration's folder, or `env:NAME`."""

    expected: str = "the name of a key file, or 'env:NAME' for an environment variable"

    def read(self, raw: object, name: str, folder: Path) -> KeyReference:
        text = _text(raw, self.expected)
        if text.startswith("env:"):
            if not _VARIABLE.fullmatch(text[4:]):
                raise BadSetting("expected the name of an environment variable after 'env:'")
            return KeyReference(setting=name, variable=text[4:])
        if not text or "\0" in text or _KEY_ITSELF.fullmatch(text):
            raise BadSetting(f"expected {self.expected}, never the key itself")
        return KeyReference(setting=name, file=folder / text)


class MasterKeyId(msgspec.Struct, frozen=True):
    """The name of a master key, which every secret sealed under it keeps."""

    expected: str = "a name of 1 to 64 letters, digits, '_', '.' and '-', such as 'm1'"

    def read(self, raw: object, name: str, folder: Path) -> str:  # noqa: ARG002
        text = _text(raw, self.expected)
        if _KEY_ITSELF.fullmatch(text):
            raise BadSetting(f"expected {self.expected}, never the key itself")
        if not _KEY_ID.fullmatch(text):
            raise BadSetting(f"expected {self.expected}")
        return text


class NodeId(msgspec.Struct, frozen=True):
    """A node's name."""

    expected: str = "a name of 1 to 64 letters, digits, '-' and '_'"

    def read(self, raw: object, name: str, folder: Path) -> str:  # noqa: ARG002
        text = _text(raw, self.expected)
        if not NODE_ID.fullmatch(text):
            raise BadSetting(f"expected {self.expected}")
        return text


class HostAndPort(msgspec.Struct, frozen=True):
    """`host:port`, where the node listens and where others reach it."""

    expected: str = "'host:port' such as '127.0.0.1:7101', with a port from 1 to 65535"

    def read(self, raw: object, name: str, folder: Path) -> Address:  # noqa: ARG002
        address = self.parse(_text(raw, self.expected))
        if address.host in _EVERY_INTERFACE:
            raise BadSetting(
                f"{address.host} is no address that others can reach: name one of this machine's"
            )
        return address

    def parse(self, text: str) -> Address:
        """The address, which may be that of every interface.  Raises `BadSetting`."""
        host, colon, port = text.rpartition(":")
        good_port = re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and 1 <= int(port) <= 65535
        if not colon or not good_port or not _HOST.fullmatch(host):
            raise BadSetting(f"expected {self.expected}")
        return Address(host.strip("[]"), int(port))


class Folder(msgspec.Struct, frozen=True):
    """A folder, relative to the configuration's folder."""

    expected: str = "the name of a folder"

    def read(self, raw: object, name: str, folder: Path) -> Path:  # noqa: ARG002
        text = _text(raw, self.expected)
        if not text or "\0" in text:
            raise BadSetting(f"expected {self.expected}")
        return folder / text


class PemFile(msgspec.Struct, frozen=True):
    """A file of certificates or a private key, relative to the configuration's folder, or none."""

    expected: str = "the name of a PEM file, or '' for none"

    def read(self, raw: object, name: str, folder: Path) -> Path | None:  # noqa: ARG002
        text = _text(raw, self.expected)
        if "\0" in text or "-----" in text:
            raise BadSetting(f"expected {self.expected}, never what is in it")
        return folder / text if text else None


class OwnerId(msgspec.Struct, frozen=True):
    """An owner's name."""

    expected: str = "a name of 1 to 128 printable characters without blanks at its ends"

    def read(self, raw: object, name: str, folder: Path) -> str:  # noqa: ARG002
        text = _text(raw, self.expected)
        if not valid_owner_id(text):
            raise BadSetting(f"expected {self.expected}")
        return text


class KeyHashes(msgspec.Struct, frozen=True):
    """Hashes of API keys.  What is found is never shown: it may be a key pasted here by mistake."""

    expected: str = "an array of API key hashes, each 'sha256:' and 64 lower-case hex digits"

    def read(self, raw: object, name: str, folder: Path) -> tuple[str, ...]:  # noqa: ARG002
        texts = _texts(raw, self.expected)
        for position, text in enumerate(texts):
            if text.startswith("tvk_"):
                raise BadSetting(f"item {position} is an API key itself: put its hash here", text)
            if not valid_api_key_hash(text):
                raise BadSetting(f"expected {self.expected}, which item {position} is not", text)
        return tuple(texts)
