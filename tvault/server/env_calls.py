"""The calls about `.env` files: values out of them into the vault, and back into them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from tvault.errors import FieldError, VaultError
from tvault.model.envfile import TooMany
from tvault.model.envfile_references import Encryption, References, encrypt, expand, unresolved
from tvault.server.bodies import members_of, refuse_too_many
from tvault.server.secret_requests import VaultCalls, encoded_value, key_of, refuse_name
from tvault.server.secret_vault import Missing
from tvault.server.web import Answer, Call, json_answer
from tvault.wire import ENV_ENCRYPT, Limits

MOST_NAMES: Final = 10_000
"""Most lines and references of a content, whatever `values_per_request`: each may bring rows of an
entry."""


class EnvCalls(VaultCalls):
    """`POST` of `/env/encrypt` and `/env/expand`."""

    def encrypt(self, call: Call) -> Answer:
        """The content with references in the place of the values that it asks to be stored."""
        document, _ = members_of(call.body, ("content", "values"))
        content = _content_of(document)
        values = _values_of(document, self._limits)
        encryption = encrypt(self._references(content), values)
        _refuse_values(encryption.secrets, self._limits)
        started = self._clock()
        versions = self._store(call, encryption, _asked(content, values))
        names = len(encryption.secrets) + len(encryption.needed)
        self._note("env-encrypt", call, started, names=names, stored=len(versions))
        stored = [{"name": name, "version": versions[name]} for name in encryption.secrets]
        return json_answer({"content": encryption.content, "stored": stored})

    def _store(self, call: Call, encryption: Encryption, asked: Iterator[bytes]) -> dict[str, int]:
        """Store the secrets, if all that is referred to has a value; their versions."""
        key = key_of(call)
        needed = {reference.name: reference for reference in encryption.needed}
        deadline = self._deadline()
        missing: Collection[str]
        if encryption.unresolved:
            missing = self._vault.missing(call.owner, needed, deadline)
        elif not needed and not encryption.secrets:
            return {}
        else:
            request = self._vault.request(call.owner, key, *asked)
            try:
                return self._vault.write_many(call.owner, encryption.secrets, needed, request, deadline)
            except Missing as found:
                missing = found.names
        raise unresolved((*encryption.unresolved, *(needed[name] for name in missing)))

    def expand(self, call: Call) -> Answer:
        """The content with the current values of all secrets that it refers to, of one moment."""
        document, _ = members_of(call.body, ("content",))
        references = self._references(_content_of(document))
        names = references.first("secret")
        started = self._clock()
        try:
            values = self._vault.current(call.owner, names, self._deadline()) if names else {}
        except Missing as found:
            asked = references.first("enc").values()
            raise unresolved((*(names[name] for name in found.names), *asked)) from None
        most = self._limits.body_bytes
        with suppress(TooMany):
            answer = json_answer({"content": expand(references, values, most)})
            if len(answer.body) <= most:
                self._note("env-expand", call, started, names=len(names))
                return answer
        members = {"limit": most, "limit_name": "body_bytes"}
        raise VaultError("too_large", f"The answer would be longer than {most} bytes.", members=members)

    def _references(self, content: str) -> References:
        """Raises `VaultError` `invalid_value`, and `too_large` for more of them, or of lines, than a
        request may have values."""
        most = min(self._limits.values_per_request, MOST_NAMES)
        with suppress(TooMany):
            return References(content, most)
        detail = f"A content has at most {most} lines that are not blank, and as many references."
        members = {"limit": most, "limit_name": "values_per_request"}
        raise VaultError("too_large", detail, members=members)


def _asked(content: str, values: Mapping[str, str]) -> Iterator[bytes]:
    """All that a request asks for."""
    yield ENV_ENCRYPT.encode()
    yield content.encode()
    for name in sorted(values):
        yield name.encode()
        yield values[name].encode()


def _content_of(document: dict[str, Any]) -> str:
    content = document.get("content")
    if not isinstance(content, str):
        raise VaultError("malformed", "The member content must be a string.")
    if not _is_unicode(content):
        raise VaultError("invalid_value", "The content holds half of a surrogate pair.")
    return content


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _values_of(document: dict[str, Any], limits: Limits) -> dict[str, str]:
    """The member `values`, none when it is left out."""
    values = document.get("values", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise VaultError("malformed", "The member values must be an object of strings.")
    refuse_too_many(len(values), limits)
    for name in values:
        refuse_name(name)
    _refuse_values(values, limits)
    return values


def _refuse_values(values: Mapping[str, str], limits: Limits) -> None:
    """Raise `VaultError` `invalid_value` or `too_large` for the first that no secret can have."""
    for at, (name, value) in enumerate(values.items()):
        _refuse_value(at, name, value, limits)


def _refuse_value(at: int, name: str, value: str, limits: Limits) -> None:
    try:
        encoded_value(value, limits)
    except VaultError as error:
        reason = "too_large" if error.code == "too_large" else "lone_surrogate"
        error.errors = (FieldError(at, reason, name),)
        raise
