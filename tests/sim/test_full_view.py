"""The chain of all nodes under loss, duplication, reordering and crashes of any node at any moment."""

from __future__ import annotations

import os

import pytest

from tests.sim.clients import Client
from tests.sim.world import Weather, World

SEEDS = range(int(os.environ.get("TVAULT_SEEDS", "10")))


def settle(world: World) -> None:
    """Faults stop; without help all nodes come to one chain and one journal."""
    world.heal()
    assert world.run(30_000, until=world.agrees), "no agreement within 30 s of the last fault"
    world.wiped.clear()


def begin(seed: int, nodes: int = 3, clients: int = 4) -> tuple[World, list[Client]]:
    world = World(seed, nodes)
    world.start()
    assert world.run(10_000, until=world.agrees), "the founding failed"
    crowd = [Client(world, f"c{i}", sticky=bool(i % 2)) for i in range(clients)]
    for client in crowd:
        client.go()
    return world, crowd


def finish(world: World, crowd: list[Client], floor: int) -> None:
    for client in crowd:
        client.stopped = True
    world.run(4_000)
    settle(world)
    world.checks.at_the_end()
    assert world.checks.acknowledged >= floor, "too little was acknowledged to prove anything"


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_calm_cluster_acknowledges_and_keeps_everything(seed: int, nodes: int) -> None:
    world, crowd = begin(seed, nodes)
    world.run(3_000)
    finish(world, crowd, floor=100)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_network_loses_nothing_acknowledged(seed: int) -> None:
    world, crowd = begin(seed)
    world.weather = Weather(loss=0.05, duplicates=0.1, delay_ms=40)
    world.run(8_000)
    finish(world, crowd, floor=20)


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_of_any_node_at_any_moment_lose_nothing_acknowledged(seed: int) -> None:
    world, crowd = begin(seed)
    world.weather = Weather(loss=0.01, duplicates=0.02, delay_ms=8)
    for _ in range(12):
        world.run(world.dice.randint(50, 1_500))
        for name in world.dice.sample(list(world.nodes), world.dice.randint(1, 3)):
            world.crash(name)
        world.run(world.dice.randint(1, 600))
        for name in world.nodes:
            world.restart(name)
    finish(world, crowd, floor=20)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_loses_its_disk_is_rebuilt_while_clients_go_on(seed: int) -> None:
    """Nor does it answer, meanwhile, that something is not found which it has merely not got back."""
    world, crowd = begin(seed, clients=6)
    for _ in range(4):
        world.run(world.dice.randint(300, 1_500))
        name = world.dice.choice(list(world.nodes))
        world.wipe(name)
        world.run(world.dice.randint(1, 800))
        world.restart(name)
        world.run(world.dice.randint(1, 400))
        world.crash(world.dice.choice(list(world.nodes)))
        settle(world)
    finish(world, crowd, floor=20)


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_during_the_founding_do_not_prevent_it(seed: int) -> None:
    world = World(seed)
    world.start()
    for _ in range(10):
        world.run(world.dice.randint(5, 300))
        world.crash(world.dice.choice(list(world.nodes)))
        world.run(world.dice.randint(1, 200))
        for name in world.nodes:
            world.restart(name)
    settle(world)


def test_a_seed_replays_the_same_run() -> None:
    traces = []
    for _ in range(2):
        world, crowd = begin(7)
        world.run(1_000)
        world.crash("n2")
        world.run(500)
        finish(world, crowd, floor=10)
        traces.append((world.trace, world.now, world.checks.acknowledged))
    assert traces[0] == traces[1]
