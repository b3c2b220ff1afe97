"""The cluster starts; many clients at once; the same value at every node."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future, wait

from tvault.cli.demo.patients import as_csv, as_json_lines
from tvault.cli.demo.show import Show
from tvault.cli.demo.temporary import TRIES
from tvault.client.vault import Vault
from tvault.errors import VaultError

CLIENTS_A_NODE = 2
MOST_AT_ONCE = 5_000
LOOK_SECONDS = 0.1


def start(show: Show) -> None:
    """A cluster of three nodes, and records that hold what nobody should read."""
    stage, cluster = show.stage, show.cluster
    stage.step("Three nodes on this machine, and records with numbers of people")
    stage.tell("Two owners share the vault, a clinic and a lab. Three fields hold numbers of people.")
    for _ in range(TRIES):
        show.run(cluster.init_command())
        cluster.take_keys()
        for node in cluster.config.nodes:
            stage.command(f"$ tvault serve --node {node.id} >> {node.id}.log 2>&1 &")
        if cluster.try_to_start():
            break
        stage.tell("One of these ports was taken meanwhile: once more, at others.")
    else:
        raise VaultError("usage", f"the ports of the cluster were taken by others {TRIES} times")
    chain = cluster.chain()
    for node in cluster.config.nodes:
        stage.output(f"{node.id} is up at {node.api.url}, process {cluster.nodes[node.id].pid}")
    stage.command("$ export TVAULT_CONFIG=cluster/tvault.toml TVAULT_API_KEY=$(cat clinic.key)")
    show.write("patients.jsonl", as_json_lines(show.people))
    show.write("visits.csv", as_csv(show.visits))
    stage.tell(f"{len(show.people):,} made-up patients and as many visits:")
    show.run("head -n 2 patients.jsonl; head -n 3 visits.csv")
    stage.claim(f"three nodes answer and are in one chain, headed by {chain[0]}", len(set(chain)) == 3)


def at_once(show: Show) -> None:
    """The same values asked for by several clients at one moment, at all nodes."""
    stage, cluster = show.stage, show.cluster
    stage.step("The same new values, by six clients at the same moment")
    values = [each.ssn for each in show.people[: min(MOST_AT_ONCE, len(show.people) // 4)]]
    stage.tell(
        f"Six clients of the Python library, two at each node, all ask at once for tokens of the same "
        f"{len(values):,} values that no node has seen before."
    )
    stage.command("tvault.Vault([url], api_key).tokenize(values)  # six times at once")
    vaults = [cluster.vault(node.id) for node in cluster.config.nodes for _ in range(CLIENTS_A_NODE)]
    asked = [_asked(vault, values) for vault in vaults]
    while wait(asked, LOOK_SECONDS).not_done:
        cluster.look()
    answers = [each.result() for each in asked]
    stage.claim(
        f"all {len(answers)} clients got the same token for each value",
        all(each == answers[0] for each in answers),
    )
    stage.claim("different values got different tokens", len(set(answers[0])) == len(values))
    stage.tell("What the event logs of the nodes say of it:")
    printed = show.run("""tvault inspect events --event tokenize --json | grep -o '"new": *[0-9]*'""")
    new = sum(int(line.rpartition(":")[2]) for line in printed.splitlines())
    stage.claim(
        f"the nodes made {new:,} mappings in all: one for each value, not six", new == len(values)
    )
    events = cluster.run("tvault inspect events --event tokenize --json").splitlines()
    request = next(each["request_id"] for each in map(json.loads, events) if each["new"])
    stage.tell("And the way of the request that made them, over all nodes:")
    show.run(f"tvault inspect events --request {request}", lines=12)


def _asked(vault: Vault, values: list[str]) -> Future[list[str | None]]:
    """The tokens, once they are there; nobody waits for them when the demo ends before."""
    answer: Future[list[str | None]] = Future()

    def ask() -> None:
        try:
            with vault:
                answer.set_result(vault.tokenize(values).tokens)
        except VaultError as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="client", daemon=True).start()
    return answer


def everywhere(show: Show) -> None:
    """One value at one node after the other."""
    stage, cluster = show.stage, show.cluster
    stage.step("One value, asked of each node")
    show.run("head -n 1 patients.jsonl > one.jsonl")
    found = []
    for node in cluster.config.nodes:
        printed = show.run(f"TVAULT_URL={node.api.url} tvault tokenize one.jsonl")
        found.append(json.loads(printed)["ssn"])
    stage.claim("every node gives the same token", len(set(found)) == 1)
    back = []
    for node in cluster.config.nodes:
        with cluster.vault(node.id) as vault:
            back.append(vault.detokenize(found[0]))
    stage.claim("every node turns it back into the value", back == [show.people[0].ssn] * len(back))
