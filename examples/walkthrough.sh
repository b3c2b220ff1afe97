#!/bin/sh
# A three-node cluster on this machine: tokenize a file, look at it, turn it back, compare.
# Needs `tvault` on the PATH. BASE_PORT picks other ports.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
patients=$here/patients.jsonl
base_port=${BASE_PORT:-$((12000 + $$ % 19000))}
work=$(mktemp -d)
cluster=

clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$cluster" ]; then
        kill "$cluster" 2>/dev/null || true
        wait "$cluster" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n== %s\n' "$*"; }

say "Make the folder of a cluster: three nodes, one owner, three fields to tokenize"
tvault init "$work/cluster" --nodes 3 --base-port "$base_port" --owner clinic \
    --field ssn --field patient.mrn --field 'contacts[*].phone' --json >"$work/init.json"
# The key is shown only now; it goes to a file that only this user can read.
(umask 077 && sed 's/.*"api_key": *"\([^"]*\)".*/\1/' "$work/init.json" >"$work/api.key")
TVAULT_CONFIG=$work/cluster/tvault.toml
export TVAULT_CONFIG
unset TVAULT_URL TVAULT_API_KEY

say "Start its nodes, one process each"
tvault up >"$work/up.log" 2>&1 &
cluster=$!
tries=0
while [ "$(grep -c ' is up at ' "$work/up.log")" -lt 3 ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$cluster" 2>/dev/null; then
        cat "$work/up.log" >&2
        echo "the cluster did not start" >&2
        exit 1
    fi
    sleep 0.1
done
cat "$work/up.log"

say "Tokenize $(wc -l <"$patients" | tr -d ' ') records"
tvault tokenize "$patients" -o "$work/tokens.jsonl" --api-key-file "$work/api.key"

say "Two records before"
head -n 2 "$patients"
say "and after: the same value has the same token, wherever it stands"
head -n 2 "$work/tokens.jsonl"

say "Turn the tokens back"
tvault detokenize "$work/tokens.jsonl" -o "$work/back.jsonl" --api-key-file "$work/api.key"
cmp "$patients" "$work/back.jsonl"
echo "every byte is back"

say "Begin a new epoch, and bring the file along; the map tells other tables how to follow"
tvault rotate-epoch --api-key-file "$work/api.key"
tvault retokenize "$work/tokens.jsonl" -o "$work/new.jsonl" --map --api-key-file "$work/api.key"
head -n 1 "$work/new.jsonl"
head -n 2 "$work/new.jsonl.map.csv"
tvault detokenize "$work/new.jsonl" --api-key-file "$work/api.key" | cmp - "$patients"

say "The cluster at a glance"
tvault inspect
