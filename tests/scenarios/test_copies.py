"""A folder that is put back from a copy begins a life whose boots another one has counted before."""

from __future__ import annotations

from tests.scenarios.director import Director
from tvault.model.commands import Rotate


def test_an_outcome_for_another_life_answers_nothing_of_a_folder_put_back_from_a_copy() -> None:
    """n3 is copied in its first boot, proposes in its second, and is put back before the outcome comes.
    Its second boot, which is another life, counts tickets from the same number."""
    play = Director()
    for command in ("quiet", "founded", "copy n3", "restart n3", "run 500", "hold n1->n3 Outcome"):
        play.do(command)
    node = play.stage["n3"]
    before = node.promise
    node.ordering.submit(5, Rotate("A", 2))
    node.settle()
    for command in ("settle", "restore n3", "hold *->n3 Doubted", "run 100"):
        play.do(command)
    node = play.stage["n3"]
    assert (node.promise.incarnation, node.promise.boot) == (before.incarnation, before.boot)
    assert node.promise.life != before.life
    node.ordering.submit(5, Rotate("B", 2))
    node.settle()
    play.do("settle")
    play.do("release n1->n3 Outcome")
    assert node.results == {}
