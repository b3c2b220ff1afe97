#!/bin/sh
# A .env file whose values move into the vault: encrypt it, check it, run a program with it.
# Needs `tvault` on the PATH, and a cluster that TVAULT_URL or TVAULT_CONFIG and TVAULT_API_KEY name.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { printf '\n== %s\n' "$*"; }

say "A file with a password in it, that two lines need"
cat >.env <<'EOF'
# the shop
DB_PASSWORD="p@ss w0rd"  # of the reader
export DATABASE_URL=postgres://shop:enc(DB_PASSWORD)@db/shop
EOF
chmod 600 .env
cat .env
tvault env check .env --offline || echo "(the check fails: exit code $?)"

say "The value moves into the vault; every other byte stays"
tvault env encrypt .env --in-place
cat .env
tvault env check .env && echo "every name resolves"

say "A program gets the values in its environment"
tvault env run .env -- sh -c 'echo "$DATABASE_URL"'
tvault env run .env --only DB_PASSWORD -- sh -c 'test -z "${DATABASE_URL-}" && exit 7' ||
    echo "its exit code is that of the program: $?"

say "A shell gets them, too"
eval "$(tvault env expand .env --format sh)"
echo "$DB_PASSWORD"

say "A new value is there at the next start; the old one stays known"
echo 'n3w one' | tvault secret put DB_PASSWORD
tvault env run .env -- sh -c 'echo "$DB_PASSWORD"'
tvault secret get DB_PASSWORD --version 1 && echo

say "A name without a value: nothing starts"
echo 'MORE=secret(NOT_THERE)' >>.env
tvault env run .env -- echo "never printed" || echo "(exit code $?)"
