"""Which node of a cluster is copied from."""

from __future__ import annotations

import msgspec
import pytest

from tvault.cli.backup_sources import Told, least_busy


def told(role: str, committed: int) -> Told:
    journal = {"committed": committed, "digest": "00"}
    configuration = {"fields": "", "keys": "", "masters": {}}
    says = {"role": role, "ensemble": ["n1", "n2"], "journal": journal, "configuration": configuration}
    return msgspec.convert(says, Told)


@pytest.mark.parametrize(
    ("cluster", "chosen"),
    [
        ({"n1": told("head", 9), "n2": told("middle", 9), "n3": told("tail", 8)}, "n3"),
        ({"n1": told("head", 9), "n2": told("tail", 9), "n3": told("outside", 9)}, "n3"),
        ({"n1": told("head", 9), "n2": told("tail", 9), "n3": told("outside", 8)}, "n2"),
        ({"n1": told("outside", 9), "n2": told("outside", 0), "n3": told("outside", 0)}, "n1"),
        ({"n1": told("single", 9)}, "n1"),
    ],
)
def test_the_node_with_least_to_do_is_asked_unless_it_has_yet_to_copy_itself(
    cluster: dict[str, Told], chosen: str
) -> None:
    assert least_busy(cluster) == chosen
