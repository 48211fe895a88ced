# shellcheck shell=bash
# A container engine, and compose. Sourced by run.

readonly CANNOT_RUN=75
# The base images that the Dockerfile names, or what stands in for them.
DEBIAN_IMAGE=$(sed -n 's/^ARG DEBIAN_IMAGE=//p' Dockerfile)
RUST_IMAGE=$(sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)

stand_ins=''
compose=()

# shellcheck source=tests/container/stand_ins.sh
. tests/container/stand_ins.sh

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
  engine_answers || start_own_engine
}

# have_base_images: those of the Dockerfile if they are here or can be pulled.
have_base_images() {
  local image
  for image in "$DEBIAN_IMAGE" "$RUST_IMAGE"; do
    if ! has_image "$image" && ! timeout 120 docker pull --quiet "$image" >/dev/null 2>&1; then
      stand_ins=$image
    fi
  done
  if [ -z "$stand_ins" ]; then return; fi
  stand_ins="$stand_ins cannot be pulled: the base images are stand-ins, and the FROM lines of the Dockerfile were not built"
  printf '%s\n' "$stand_ins"
  make_stand_ins
}

choose_compose() {
  if [ -n "${COMPOSE:-}" ]; then
    read -ra compose <<<"$COMPOSE"
  elif docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  else
    need docker-compose docker-compose
    compose=(docker-compose)
  fi
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
