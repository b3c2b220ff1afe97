"""The published OpenAPI document, and what can be read out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import yaml

from tests.docs.pages import REFERENCE, read
from tvault.model.values import Reason

OPENAPI = REFERENCE / "openapi.yaml"

PLACES = (
    *get_args(Reason),
    *("not_an_object", "not_an_array", "not_a_string"),
    *("bad_reference", "unreadable", "unresolved"),
)
"""The codes that the places in `errors` have."""


@dataclass(frozen=True)
class Example:
    """A request of the document, and the answer that stands there under its name."""

    name: str
    method: str
    path: str
    request: object
    status: int
    answer: object

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}"


@cache
def specification() -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = yaml.safe_load(read(OPENAPI))
    return document


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every call, in the order of the file."""
    for path, methods in specification()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """The part itself, or what it refers to."""
    if set(part) != {"$ref"}:
        return part
    found = specification()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def examples() -> Iterator[Example]:
    """Every request of the document with its answer.  A call without a body has one request."""
    for method, path, operation in operations():
        answers = {
            name: (int(status), example["value"])
            for status, answer in operation["responses"].items()
            for media in resolved(answer)["content"].values()
            for name, example in media["examples"].items()
        }
        if "requestBody" in operation:
            requests = examples_of(operation["requestBody"])
        else:
            requests = dict.fromkeys(examples_of(resolved(operation["responses"]["200"])))
        for name, request in requests.items():
            yield Example(name, method, with_parameters(path, operation), request, *answers[name])


def with_parameters(path: str, operation: dict[str, Any]) -> str:
    """The path with the examples of its parameters in their places."""
    for parameter in map(resolved, operation["parameters"]):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    return path


def examples_of(part: dict[str, Any]) -> dict[str, Any]:
    """The examples of a body's only media type, by name."""
    (media,) = part["content"].values()
    return {name: example["value"] for name, example in media["examples"].items()}


def bodies_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of the bodies that a call takes; of a call without, one that requires nothing."""
    if "requestBody" not in operation:
        return [{"required": []}]
    (media,) = operation["requestBody"]["content"].values()
    return [resolved(part) for part in media["schema"].get("oneOf", [media["schema"]])]


def problems() -> dict[str, dict[str, Any]]:
    """The schema of each problem document, by its code."""
    schemas = specification()["components"]["schemas"]
    return {
        schema["properties"]["code"]["const"]: schema
        for name, schema in schemas.items()
        if name.endswith("Problem") and name != "Problem"
    }
