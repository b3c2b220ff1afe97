"""The calls about secrets: requests in, versions and values out."""

from __future__ import annotations

from typing import Any, Final

from tvault.errors import VaultError
from tvault.server.bodies import members_of
from tvault.server.moments import moment_text
from tvault.server.preconditions import Condition, condition_in, tag_of
from tvault.server.secret_requests import (
    VaultCalls,
    encoded_value,
    key_of,
    members_of_query,
    refuse_name,
    wanted_of,
)
from tvault.server.secret_vault import Request
from tvault.server.web import Answer, Call, json_answer
from tvault.wire import IF_MATCH, IF_NONE_MATCH, SECRETS

NAME: Final = "name"
"""The parameter of paths that is a secret's name."""


class SecretCalls(VaultCalls):
    """`PUT`, `GET` and `DELETE` of `/secrets/<name>`, and `GET` of its history and of all names."""

    def put(self, call: Call) -> Answer:
        """The secret has this value from now on."""
        members_of_query(call)
        name = call.parameters[NAME]
        refuse_name(name)
        value = _value_in(call.body)
        encoded = encoded_value(value, self._limits)
        condition, request = self._asked(call, name, encoded)
        started = self._clock()
        done = self._vault.put(call.owner, name, value, condition, request, self._deadline())
        self._note("secret-put", call, started, created=int(done.is_new))
        document = {
            "name": name,
            "version": done.version,
            "valid_from": moment_text(done.valid_from),
            "created": done.is_new,
        }
        return _tagged(document, done.version)

    def get(self, call: Call) -> Answer:
        """A version of the secret, with its value."""
        wanted = wanted_of(call, call.parameters[NAME])
        started = self._clock()
        found = self._vault.get(call.owner, wanted, self._deadline())
        self._note("secret-get", call, started)
        document = {
            "name": found.name,
            "value": found.value,
            "version": found.version,
            "valid_from": moment_text(found.valid_from),
            "valid_to": _end(found.valid_to),
        }
        return _tagged(document, found.version)

    def history(self, call: Call) -> Answer:
        """All versions of the secret, without their values."""
        members_of_query(call)
        name = call.parameters[NAME]
        started = self._clock()
        versions = [
            {
                "version": mark.version,
                "valid_from": moment_text(mark.valid_from),
                "valid_to": _end(mark.valid_to),
                "key_id": mark.key_id,
            }
            for mark in self._vault.history(call.owner, name, self._deadline()).versions
        ]
        self._note("secret-history", call, started, versions=len(versions))
        return json_answer({"name": name, "versions": versions})

    def names(self, call: Call) -> Answer:
        """The names of the secrets that have a value."""
        members_of_query(call)
        started = self._clock()
        names = self._vault.names(call.owner, self._deadline())
        self._note("secret-names", call, started, names=len(names))
        return json_answer({"names": names})

    def delete(self, call: Call) -> Answer:
        """The secret has no value from now on."""
        members_of_query(call)
        name = call.parameters[NAME]
        condition, request = self._asked(call, name)
        started = self._clock()
        done = self._vault.delete(call.owner, name, condition, request, self._deadline())
        self._note("secret-delete", call, started)
        return json_answer(
            {"name": name, "version": done.version, "valid_to": moment_text(done.valid_to)}
        )

    def _asked(self, call: Call, name: str, *more: bytes) -> tuple[Condition, Request]:
        """The condition of a write, and by what it is known when it is asked again."""
        condition = condition_in(call.headers.get(IF_MATCH), call.headers.get(IF_NONE_MATCH))
        parts = (SECRETS.encode(), name.encode(), condition.text.encode(), *more)
        return condition, self._vault.request(call.owner, key_of(call), *parts)


def _value_in(body: bytes) -> str:
    document, _ = members_of(body, ("value",))
    value = document.get("value")
    if not isinstance(value, str):
        raise VaultError("malformed", "The body must have the member value, a string.")
    return value


def _end(moment: int | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _tagged(document: dict[str, Any], version: int) -> Answer:
    answer = json_answer(document)
    return Answer(answer.body, answer.status, (*answer.headers, ("ETag", tag_of(version))))
