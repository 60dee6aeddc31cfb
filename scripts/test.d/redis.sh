# shellcheck shell=bash
# A throwaway Redis from Debian's binary, for tests that share one: loopback only, nothing on the disk. It stands for
# Valkey, which Debian 12 does not have. Tests that stop or flush theirs start one of their own. Sourced by scripts/test.

# Sets redis_url.
start_redis() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no >/dev/null &
  redis_process=$!
  until redis-cli -p "$port" ping >/dev/null 2>&1; do
    kill -0 "$redis_process" || return 1
    sleep 0.05
  done
  # shellcheck disable=SC2034 # read by scripts/test
  redis_url=redis://127.0.0.1:$port
}

stop_redis() {
  if [ -n "${redis_process:-}" ]; then kill "$redis_process" 2>/dev/null; fi
  return 0
}
