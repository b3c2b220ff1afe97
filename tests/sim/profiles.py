"""What kinds of trouble a run has.  A seed draws one, or it is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tvault.replication.ready import Timing

TIMINGS = (
    (Timing(heartbeat_ms=30, suspect_ms=300), 3),
    (Timing(heartbeat_ms=50, suspect_ms=500), 4),
    (Timing(heartbeat_ms=100, suspect_ms=1500), 2),
)


@dataclass(frozen=True)
class Profile:
    """`faults` are kinds with their weights; one comes every `gap_ms` for `lasts_ms`, at most and at
    least.  `bad_weather`: chance that the network is bad from the beginning on."""

    name: str
    faults: dict[str, int]
    gap_ms: tuple[int, int] = (100, 800)
    lasts_ms: tuple[int, int] = (3_500, 6_000)
    clients: int = 5
    sticky: float = 0.3
    bad_weather: float = 0.1
    founding_trouble: float = 0.1
    long_pauses: bool = False
    timings: tuple[tuple[Timing, int], ...] = TIMINGS
    weight: int = 10

    @property
    def loses_disks(self) -> bool:
        """Whether disks are lost."""
        return "lose" in self.faults

    def draw_timing(self, dice: Random) -> Timing:
        """How patient the nodes are."""
        return dice.choices([t for t, _ in self.timings], [weight for _, weight in self.timings])[0]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("calm", {"rumour": 1}, lasts_ms=(1_500, 2_500), weight=4),
        Profile("network", {"weather": 4, "cut": 1, "crash": 1}, bad_weather=1.0),
        Profile("crashes", {"crash": 6, "storm": 3, "trap": 6, "power": 1, "rumour": 1}, weight=20),
        Profile("storm", {"storm": 6, "power": 1, "trap": 2}, gap_ms=(50, 400), weight=10),
        Profile("pauses", {"pause": 6, "crash": 1, "lag": 1, "trap": 1}, long_pauses=True, weight=14),
        Profile("partitions", {"cut": 6, "crash": 1, "pause": 1, "weather": 1}, weight=14),
        Profile(
            "disks",
            {"lose": 6, "slow": 2, "stall": 2, "full": 3, "crash": 2, "trap": 2},
            gap_ms=(100, 700),
            weight=18,
        ),
        Profile("hand-over", {"leave": 6, "crash": 1, "pause": 1, "full": 1}, weight=8),
        Profile("sticky", {"crash": 3, "pause": 3, "cut": 3, "leave": 1}, sticky=1.0, weight=8),
        Profile(
            "everything",
            {
                "crash": 4,
                "storm": 1,
                "trap": 4,
                "power": 1,
                "pause": 3,
                "cut": 3,
                "weather": 2,
                "slow": 1,
                "stall": 1,
                "full": 1,
                "lose": 3,
                "leave": 2,
                "lag": 1,
                "rumour": 1,
            },
            gap_ms=(80, 600),
            bad_weather=0.3,
            long_pauses=True,
            weight=24,
        ),
        Profile("one cut", {}, bad_weather=0.0, founding_trouble=0.0, weight=8),
        Profile("rolling", {}, clients=8, bad_weather=0.0, founding_trouble=0.0, weight=6),
    )
}

OF_THREE = ("one cut", "rolling")
"""What fewer than three nodes cannot do."""


@dataclass(frozen=True)
class Draw:
    """A profile and the timing under it."""

    profile: Profile
    timing: Timing = field(default_factory=Timing)


def draw_profile(dice: Random, nodes: int, name: str | None) -> Draw:
    """By name, or by weight among those that make sense for so many nodes."""
    if name is not None:
        profile = PROFILES[name]
    else:
        fitting = [p for p in PROFILES.values() if nodes >= 3 or p.name not in OF_THREE]
        profile = dice.choices(fitting, [each.weight for each in fitting])[0]
    return Draw(profile, profile.draw_timing(dice))
