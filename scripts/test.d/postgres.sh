# shellcheck shell=bash
# A throwaway PostgreSQL from Debian's binaries: its own directory and port, loopback only, nothing synced to disk.
# Sourced by scripts/test. PostgreSQL refuses to run as root, so root runs it as the package's own user.

# Sets postgres_url.
start_postgres() {
  local port
  postgres_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort | tail -n 1)
  postgres_home=$(mktemp -d /tmp/trunkline-postgres.XXXXXX)
  if [ "$(id -u)" = 0 ]; then chown postgres "$postgres_home"; fi
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  as_postgres "$postgres_bin/initdb" --pgdata="$postgres_home/data" --username=trunkline --auth=trust \
    --encoding=UTF8 --locale=C --no-sync >/dev/null
  as_postgres "$postgres_bin/pg_ctl" start --silent --wait --pgdata="$postgres_home/data" --log="$postgres_home/log" \
    --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300 -c fsync=off -c synchronous_commit=off -c full_page_writes=off" ||
    { cat "$postgres_home/log" && return 1; }
  # shellcheck disable=SC2034 # read by scripts/test
  postgres_url=postgres://trunkline@127.0.0.1:$port/postgres
}

stop_postgres() {
  if [ -f "${postgres_home:-}/data/postmaster.pid" ]; then
    as_postgres "$postgres_bin/pg_ctl" stop --silent --mode=immediate --pgdata="$postgres_home/data"
  fi
  rm -rf "${postgres_home:-}"
}

as_postgres() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser --user postgres -- "$@"); else "$@"; fi
}
