# shellcheck shell=bash
# A container engine, and compose. Sourced by run.

readonly CANNOT_RUN=75
readonly BASE_IMAGES=(debian:bookworm-slim rust:1-slim-bookworm)

# Makes an engine and stand-ins for the base images on a machine without them.
readonly CONTAINER_BASE=../shared/container-base

own_engine=''
compose=()

cannot_run() {
  printf '%s\n' "$1"
  exit "$CANNOT_RUN"
}

# need COMMAND PACKAGE ...: installs the Debian packages of the commands that are missing.
need() {
  local packages=()
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null || packages+=("$2")
    shift 2
  done
  if [ ${#packages[@]} -eq 0 ]; then return; fi
  if ! { apt-get update -qq && apt-get install -qq --yes "${packages[@]}"; } >"$scratch/apt.log" 2>&1; then
    cannot_run "the container test needs ${packages[*]}, which cannot be installed here"
  fi
}

engine_answers() {
  docker info >/dev/null 2>&1
}

have_engine() {
  if engine_answers && docker image inspect "${BASE_IMAGES[@]}" >/dev/null 2>&1; then return; fi
  if [ -x "$CONTAINER_BASE" ]; then
    engine_answers || own_engine=yes
    if ! "$CONTAINER_BASE"; then
      cannot_run "no container engine: $CONTAINER_BASE could not make one, so no image was built and no stack run"
    fi
  elif ! engine_answers; then
    cannot_run 'no container engine: docker info fails, so no image was built and no stack run'
  fi
}

choose_compose() {
  if [ -n "${COMPOSE:-}" ]; then
    read -ra compose <<<"$COMPOSE"
  elif docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  else
    cannot_run 'no compose: neither docker compose nor docker-compose is installed, so no stack was run'
  fi
}

stop_own_engine() {
  local pid
  if [ -z "$own_engine" ]; then return; fi
  pid=$(cat /var/run/docker.pid 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  wait_until 30 process_ended "$pid" || true
}

process_ended() {
  ! kill -0 "$1" 2>/dev/null
}

# wait_until SECONDS COMMAND...: true as soon as COMMAND is, false after SECONDS.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
