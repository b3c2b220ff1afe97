#!/bin/sh
# Visits joined with patients in DuckDB, where both hold tokens; values are recovered for ten rows.
# Needs `tvault` on the PATH with its extra `duckdb`, and a cluster of this machine with the fields ssn, name
# and email, that TVAULT_CONFIG and TVAULT_API_KEY name. PYTHON picks the Python that has duckdb.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
vault=$(CDPATH= cd -- "$(dirname -- "$TVAULT_CONFIG")" && pwd)
# Who analyses has an API key and the addresses of the nodes, and no configuration.
TVAULT_URL=$(sed -n 's|^api = "\(.*\)"|http://\1|p' "$TVAULT_CONFIG" | paste -s -d , -)
export TVAULT_URL
unset TVAULT_CONFIG
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ln -s "$here" analytics

say() { printf '\n== %s\n' "$*"; }

# How many values the nodes have given out so far: each node notes every request in its event log.
recovered() {
    sed -n 's/.*"event":"detokenize".*"found":\([0-9]*\).*/\1/p' "$vault"/data/*/events*.jsonl |
        awk '{ sum += $1 } END { print sum + 0 }'
}

before=$(recovered)
count() { echo "values recovered so far: $(($(recovered) - before))"; }

say "Two files, as a hospital has them"
"$python" analytics/generate.py .
head -n 3 patients.csv

say "The same with tokens in the configured fields"
mkdir tokens
tvault tokenize patients.csv -o tokens/patients.csv
tvault tokenize visits.parquet -o tokens/visits.parquet
rm patients.csv visits.parquet
head -n 3 tokens/patients.csv

say "The patients as a table in a DuckDB file; the visits stay a file"
"$python" -c 'import sys, duckdb; duckdb.connect("clinic.duckdb").execute(sys.stdin.read())' <analytics/load.sql

say "By ward: joined and counted on tokens"
tvault duckdb-attach clinic.duckdb --read tokens/visits.parquet -f analytics/wards.sql
count

say "The ten who cost most"
tvault duckdb-attach clinic.duckdb --read tokens/visits.parquet -f analytics/dearest.sql
count

say "One patient, by the number"
tvault duckdb-attach clinic.duckdb --read tokens/visits.parquet -f analytics/one_patient.sql
count

say "Something about everyone that only the values tell"
tvault duckdb-attach clinic.duckdb -f analytics/providers.sql
count

say "The same from Python"
"$python" analytics/notebook.py clinic.duckdb tokens/visits.parquet
count
