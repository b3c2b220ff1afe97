"""The pages, run: every command of a `console` block and every `python` block, from top to bottom.

A page with such blocks has a row in PAGES, and that is all. It is gone through in one shell and one
Python, which go on from block to block, in a folder that holds `vault` alone, the folder of a vault
of three nodes that runs. `TVAULT_CONFIG` and `TVAULT_API_KEY`, that of the owner `clinic`, are set, and
`LAB_KEY`, that of the owner `lab`; for Python `TVAULT_URL`, too. Ports are written as on a vault that
`tvault init` makes (127.0.0.1:7101 to 7103 for clients, 7201 to 7203 for nodes, 7301 for a gateway,
7401 to 7503 for another vault): others take their places.

- What a command prints is what the page shows, but for chance, which `without_chance` takes away from
  both; what is chance on one page alone stands behind its name here.
- `…` alone on a line stands for lines that are left out, within a line for a part of it.
- An API key, a token or a process (`kill -9 4711`) that was shown as printed may stand in a later
  command: those of this run take their places. What is shown twice must come twice.
- A command that fails is followed by one that says so: `$ echo $?`.
- `tvault up` and `tvault serve` get a terminal of their own, in which the lines shown must come.
- A block without a language right behind a `python` block is what that prints.
- A comment lets a node be gone, or be there again: `<!-- kill n2 -->` waits for the chain of the others,
  and `<!-- start n2 -->` until it is in the chain.

A page that rotates, or counts what is there, is ALONE with a vault; one that makes its vault by
`tvault init` has NONE; all others share one, and leave it as it was but for new mappings of epoch 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.cluster import Cluster, eventually, free_base_port
from tests.docs.pages import ROOT, page_called
from tests.e2e.walk import Acts, Walk, same

SHARED, ALONE, NONE = "shared", "alone", "none"


def any_node(text: str) -> str:
    """The text without what depends on which node is head, and answers first."""
    return re.sub(r"\bn\d\b", "<node>", text)


def any_count(text: str) -> str:
    """The text without how much other pages have left in the vault."""
    text = re.sub(r"(?<=<entry>  <entry>)  [\d,]+  \d+", "  <count>  <count>", text)
    return re.sub(r"(?<=entries |.tokens |secrets )\d[\d,]*", "<count>", text)


def any_copy(text: str) -> str:
    """The text without what of a vault was copied, and from where."""
    return any_node(any_count(text))


class Page(NamedTuple):
    """A page, the vault that it needs, and what of it is left to chance beside what always is."""

    name: str
    vault: str = SHARED
    also: Callable[[str], str] = same


PAGES = (
    Page("README", NONE),
    Page("tutorial", NONE),
    Page("files"),
    Page("http-api"),
    Page("library", ALONE),
    Page("inspect", also=any_node),
    Page("doctor"),
    Page("verify", also=any_count),
    Page("backup", also=any_copy),
    Page("gateway"),
    Page("monitoring"),
    Page("tokens", ALONE),
    Page("secrets", ALONE),
    Page("env", ALONE),
    Page("errors"),
    Page("rotate", ALONE),
    Page("replace-a-node", ALONE),
)


def path_of(page: Page) -> Path:
    """Where the page stands: README is that of the repository."""
    return ROOT / "README.md" if page.name == "README" else page_called(page.name)


def new_cluster(folder: Path) -> Cluster:
    """Three nodes, with ports for a gateway and for another cluster that a page makes."""
    fields, owners = ("ssn", "patient.mrn"), ("clinic", "lab")
    return Cluster(folder / "vault", fields=fields, owners=owners, hundreds=5)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    with new_cluster(folder) as cluster:
        cluster.start()
        cluster.wait_until_whole()
        eventually(cluster.agree)
        yield cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The vault of the pages that leave it as it is for others."""
    with running(tmp_path_factory.mktemp("pages")) as cluster:
        yield cluster


def acts(cluster: Cluster) -> Acts:
    """A node is gone, and the others go on; it is there again, and the vault is whole."""

    def kill(name: str) -> None:
        cluster.kill(name)
        left = [each for each in cluster.nodes if each != name]
        eventually(lambda: all(len(cluster.status(each)["chain"]) == len(left) for each in left))
        eventually(lambda: all(cluster.health(each) == "degraded" for each in left))

    def start(name: str) -> None:
        cluster.start(name)
        cluster.wait_until_whole()
        eventually(cluster.agree)

    return {"kill": kill, "start": start}


def walk(page: Page, folder: Path, cluster: Cluster) -> None:
    """Go through a page with the vault of a cluster."""
    (folder / "vault").symlink_to(cluster.folder)
    told = {
        "TVAULT_CONFIG": "vault/tvault.toml",
        "TVAULT_API_KEY": cluster.keys["clinic"],
        "LAB_KEY": cluster.keys["lab"],
    }
    urls = ",".join(cluster.nodes.values())
    Walk(path_of(page), folder, cluster.base_port, told, urls, page.also, acts(cluster)).go()


def those_with(vault: str) -> pytest.MarkDecorator:
    """The pages with such a vault."""
    chosen = [each for each in PAGES if each.vault == vault]
    return pytest.mark.parametrize("page", chosen, ids=lambda page: page.name)


@those_with(SHARED)
def test_a_page_prints_what_it_shows(page: Page, shared: Cluster, tmp_path: Path) -> None:
    walk(page, tmp_path, shared)


@those_with(ALONE)
def test_a_page_that_changes_its_vault_prints_what_it_shows(page: Page, tmp_path: Path) -> None:
    place, folder = tmp_path / "place", tmp_path / "folder"
    folder.mkdir()
    with running(place) as cluster:
        walk(page, folder, cluster)


@those_with(NONE)
def test_a_page_that_makes_its_vault_prints_what_it_shows(page: Page, tmp_path: Path) -> None:
    Walk(path_of(page), tmp_path, free_base_port(3, 5), {}, also=page.also).go()
