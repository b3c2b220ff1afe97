"""What is wrong with a node, in words for operators."""

from __future__ import annotations

from tvault.engine import Health
from tvault.replication.account import Condition
from tvault.replication.promise import Standing
from tvault.replication.ready import Notice
from tvault.replication.state import State
from tvault.server.outlook import STUCK_SECONDS


def health_of(state: State, *, can_write: bool) -> Health:
    """`ok`, `degraded` or `unavailable`, as `GET /health` says it."""
    if not can_write:
        return "unavailable"
    return "degraded" if state.degraded else "ok"


def trouble_of(
    state: State,
    ensemble: list[str],
    *,
    set_aside: str | None,
    complaint: str | None,
    damage: str | None,
    silent_s: float,
) -> str | None:
    """What keeps the node, or its chain, from being whole; None when nothing does.

    `set_aside` tells when and why files were set aside, `complaint` why there is no view, `damage` what
    is wrong with files that are still in use, `silent_s` for how long the node's thread has been busy
    with one step.
    """
    told = [_of_itself(state, set_aside), _of_its_chain(state, ensemble, complaint)]
    if damage is not None:
        end = ", with which it begins anew once all nodes are in the chain"
        told.append(f"damaged files{end if len(ensemble) > 1 else ''}: {damage}")
    if silent_s >= STUCK_SECONDS:
        told.append(f"busy with one step for {silent_s:.1f} s")
    return "; ".join(filter(None, told)) or None


def complaint_of(notice: Notice) -> str:
    """Why no view comes about, from the notice of it."""
    heard, blank = notice.details["heard"], notice.details["blank"]
    assert isinstance(heard, list)
    assert isinstance(blank, list)
    told = f"no majority of nodes that may vote: only {_named(heard)} heard"
    return f"{told}, of which {_named(blank)} blank" if blank else told


def _of_itself(state: State, set_aside: str | None) -> str | None:
    if state.condition is Condition.FULL:
        return "disk full"
    if state.condition is Condition.LEAVING:
        return "leaving"
    if state.standing is Standing.BLANK:
        return f"rebuilding: files set aside {set_aside}" if set_aside else "blank: copying from a chain"
    return "catching up" if state.role == "outside" and state.chain else None


def _of_its_chain(state: State, ensemble: list[str], complaint: str | None) -> str | None:
    if not state.can_write:
        return complaint or "no chain"
    lacking = [node for node in ensemble if node not in state.chain]
    return f"the chain lacks {', '.join(lacking)}" if lacking and state.role != "outside" else None


def _named(nodes: list[str]) -> str:
    return f"{', '.join(sorted(nodes))} {'is' if len(nodes) == 1 else 'are'}"
