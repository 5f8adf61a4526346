#!/bin/sh
# Writes .env from .env.example, with a random secret for each name that has no value there. An existing .env is never
# changed: what it lacks is told.
set -eu
cd "$(dirname "$0")/.."
umask 077

secret_names() { sed -n 's/^\([A-Z_]*\)=$/\1/p' .env.example; }
random_hex() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
random_base64url() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

if [ -e .env ]; then
  for name in $(secret_names); do
    # A ledger that is there has signed with the key in its volume, and would refuse to go on with another.
    [ "$name" = COMPOSE_LEDGER_SIGNING_KEY ] && continue
    grep -Eq "^(export )?$name=." .env || missing="${missing:-}  $name=$(random_hex)
"
  done
  [ -z "${missing:-}" ] && exit 0
  printf '%s\n%s' '.env is there, but docker compose needs more of it. Add to it, for example:' "$missing" >&2
  exit 1
fi

set -C # never over one that appeared meanwhile
while IFS= read -r line; do
  case $line in
    [A-Z]*_SIGNING_KEY=) printf '%s%s\n' "$line" "$(random_base64url)" ;;
    [A-Z]*=) printf '%s%s\n' "$line" "$(random_hex)" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <.env.example >.env
echo 'Wrote .env with random secrets. Keep it: COMPOSE_LEDGER_SECRET and COMPOSE_LEDGER_SIGNING_KEY belong to the event store for good.' >&2
