"""Which columns are configured fields, as the cluster says."""

from __future__ import annotations

import pytest

from tests.unit.server.serving import FIELDS, Node
from tvault.client.configured import MOST_RECORDS, configured_columns, configured_fields
from tvault.client.vault import Vault
from tvault.model.fields import parse_path


def test_the_configured_fields_are_found_among_others(vault: Vault) -> None:
    others = ["name", "patient", "patient.name", "contacts", "contacts[*]", "contacts.phone", "ssn.a"]
    asked = [parse_path(text) for text in [*others, *FIELDS, '["a[0]"]', "mrn"]]
    assert {str(path) for path in configured_fields(vault, asked)} == set(FIELDS)


@pytest.mark.parametrize(
    ("names", "configured"),
    [
        (["id", "ssn", "name"], ["ssn"]),
        (["patient.mrn", "patient", "ssn"], ["patient.mrn", "ssn"]),
        (["SSN", " ssn", "ssn ", "", "s\0n", "é", '["ssn"]x', "a b"], []),
        (["contacts[*].phone", "contacts[0].phone"], ["contacts[*].phone"]),
        (['["ssn"]'], ['["ssn"]']),
        ([], []),
    ],
)
def test_a_column_is_configured_when_its_name_is_that_of_a_field(
    vault: Vault, names: list[str], configured: list[str]
) -> None:
    assert configured_columns(vault, names) == configured


def test_more_columns_than_a_request_holds_are_asked_about(vault: Vault) -> None:
    names = [f"column {number}" for number in range(2 * MOST_RECORDS)]
    assert configured_columns(vault, [*names, "ssn"]) == ["ssn"]


def test_to_ask_stores_nothing(vault: Vault, node: Node) -> None:
    before = len(node.events)
    configured_columns(vault, ["ssn", "name"])
    assert {name for name, _ in node.events[before:]} == {"detokenize"}
    assert vault.lookup(["x"]) == [{}]
