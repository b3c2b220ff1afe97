"""What the pages say about failures and about the parts can be tried, and is so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.cluster.faults import FAULTS
from tests.docs.pages import ROOT, page_called, read, rows, rules_of, section
from tests.mutants import ALL
from tests.sim.profiles import PROFILES
from tvault.events import EVENTS
from tvault.events.catalog import GROUPS

FAILURES = page_called("failures")
PROTOCOL = page_called("protocol")
PARTS = ["Clients", "Operators", "End", "Shown by"]
READS_THE_TIME_OF_DAY = re.compile(r"\bdatetime\.(?:utc)?now\(|\btime\.time(?:_ns)?\(|\bdate\.today\(")


def situations() -> dict[str, str]:
    """What stands under each kind of failure."""
    parts = re.split(r"^### (.+)$", read(FAILURES), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named_after(word: str) -> set[str]:
    """The names in backquotes that follow `word` in what shows a situation."""
    shown = (text.split("**Shown by**", 1)[1].replace("\n", " ") for text in situations().values())
    lists = (found for text in shown for found in re.findall(rf"\b{word}s? ((?:`[^`]+`(?:, )?)+)", text))
    return {name for names in lists for name in re.findall(r"`([^`]+)`", names)}


def test_every_failure_is_told_from_both_sides_to_its_end_with_what_shows_it() -> None:
    assert len(situations()) > 20, "the situations are no longer found"
    parts = {title: re.findall(r"^- \*\*(.+?)\*\*:", text, re.M) for title, text in situations().items()}
    assert {title: found for title, found in parts.items() if found != PARTS} == {}


def test_every_kind_of_fault_that_can_be_tried_is_told_and_no_other() -> None:
    assert named_after("faults") == set(FAULTS)


def test_every_profile_that_a_failure_names_exists() -> None:
    assert named_after("profile") - set(PROFILES) == set()


def test_every_event_of_a_failure_is_told_there() -> None:
    page = read(FAILURES)
    ordinary = {"events-lost", "events-dropped", "ordered", "stored", *GROUPS["Requests"]}
    assert [event for event in EVENTS if event not in ordinary and f"`{event}`" not in page] == []


def test_the_time_of_day_is_read_for_people_alone() -> None:
    """By the event log, for the last change of a node's part in views, by the command line to say how
    long ago something was, for the names of folders with what was set aside, to tell that a node's own
    certificate has expired (others would refuse it), and, in `server.serve`, for the moments of secrets,
    which the judge makes rise."""
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tvault").rglob("*.py")
        if READS_THE_TIME_OF_DAY.search(read(path))
    }
    assert readers == {
        "tvault/cli/moments.py",
        "tvault/events/log.py",
        "tvault/server/chronicle.py",
        "tvault/server/folder.py",
        "tvault/server/serve.py",
        "tvault/server/tls.py",
    }


def imports_of(module: str) -> Iterator[str]:
    """The modules of the replication that one of them uses."""
    folder = ROOT / "tvault" / "replication"
    for node in ast.walk(ast.parse(read(folder / f"{module}.py"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tvault.replication."):
            yield str(node.module).rsplit(".", 1)[1]


def test_the_modules_of_the_replication_stand_in_their_order_and_use_only_earlier_ones() -> None:
    table = section(read(page_called("internals")), "The modules of the replication")
    order = [name for row in rows(table) for name in re.findall(r"`(\w+)`", row[0])]
    modules = {path.stem for path in (ROOT / "tvault" / "replication").glob("*.py")} - {"__init__"}
    assert sorted(order) == sorted(modules)
    place = {module: at for at, module in enumerate(order)}
    upward = [f"{module} uses {used}" for module in order for used in imports_of(module)]
    assert [text for text in upward if place[text.split()[0]] <= place[text.split()[2]]] == []


def test_every_rule_that_a_scenario_or_a_mutant_names_is_one_of_the_protocol() -> None:
    rules = rules_of(read(PROTOCOL))
    assert {"1.1", "2.8", "2.10", "5.4"} <= rules, "the rules are no longer found"
    scenarios = sorted((ROOT / "tests" / "scenarios").glob("*.txt"))
    told = {path.name: re.findall(r"^#.*$", read(path), re.M) for path in scenarios}
    told |= {mutant.name: [mutant.rule] for mutant in ALL}
    named = {name: set(re.findall(r"\b[1-7]\.\d+\b", " ".join(lines))) for name, lines in told.items()}
    assert len(set().union(*named.values())) > 20, "the numbers are no longer found"
    assert {name: numbers - rules for name, numbers in named.items() if numbers - rules} == {}
