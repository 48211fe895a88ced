# shellcheck shell=bash
# The stack under test, and questions to it. Sourced by run.

# Project, images and ports are this run's own, so that another stack on the machine is left alone.
readonly PROJECT=bff-test-$$
export BFF_IMAGE_TAG=$PROJECT BFF_PORT=0 IDP_PORT=0 DOCKER_BUILDKIT=1

readonly HEALTHY_WITHIN=60

# The stack that questions go to.
project=$PROJECT

# Settings of whoever runs this are no part of the test.
forget_settings() {
  local name
  for name in $(compgen -e); do
    case $name in
      BFF_IMAGE_TAG | BFF_PORT | IDP_PORT) ;;
      BFF_* | DCR_* | ALLOW_BOOTSTRAP_FAILURE | IDP_BASE_URL | SKIP_DCR_BOOTSTRAP) unset "$name" ;;
    esac
  done
  # In place of an .env of theirs.
  : >"$scratch/no.env"
}

stack() {
  "${compose[@]}" --project-name "$PROJECT" --env-file "$scratch/no.env" \
    --file docker-compose.yml "$@"
}

production() {
  BFF_IMAGE=bff:$PROJECT BFF_HOST=bff.example.test IDP_BASE_URL=https://idp.example.test/api/oidc \
    DCR_REDIRECT_URIS=https://app.example.test/auth/callback PROXY_NETWORK=$PROJECT-proxy \
    SECRETS_DIR=$scratch "${compose[@]}" --project-name "$PROJECT-production" \
    --env-file "$scratch/no.env" --file docker-compose.production.yml "$@"
}

# Compose tells its progress on standard error.
quietly() {
  if ! "$@" >"$scratch/quiet.log" 2>&1; then
    tail -n 40 "$scratch/quiet.log"
    return 1
  fi
}

up() {
  quietly stack up --detach
}

# down [OPTION]: removes the containers, and with --volumes what they stored.
down() {
  keep_evidence
  quietly stack down --remove-orphans "$@"
}

remove_stack() {
  if [ ${#compose[@]} -eq 0 ]; then return; fi
  stack down --volumes --remove-orphans >/dev/null 2>&1 || true
  production down --volumes >/dev/null 2>&1 || true
  docker network rm "$PROJECT-proxy" >/dev/null 2>&1 || true
  docker image rm "bff:$PROJECT" "dev-idp:$PROJECT" >/dev/null 2>&1 || true
}

# --- containers

# container SERVICE: its id, running or not.
container() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project" \
    --filter "label=com.docker.compose.service=$1" --filter 'label=com.docker.compose.oneoff=False'
}

# inspect SERVICE TEMPLATE
inspect() {
  docker inspect --format "$2" "$(container "$1")"
}

healthy() {
  [ "$(inspect "$1" '{{.State.Health.Status}}' 2>/dev/null)" = healthy ]
}

exited() {
  [ "$(inspect "$1" '{{.State.Status}}' 2>/dev/null)" = exited ]
}

wait_healthy() {
  wait_until "$HEALTHY_WITHIN" healthy bff || broken "bff is not healthy after $HEALTHY_WITHIN s"
}

# logs SERVICE: everything since its container was made.
logs() {
  docker logs "$(container "$1")" 2>&1
}

# keep_evidence: what was logged, and which secrets must not be in it; both go with the containers.
keep_evidence() {
  local service name
  for service in bff idp; do
    if [ -n "$(container "$service")" ]; then logs "$service" >>"$scratch/all.log"; fi
  done
  for name in iat admin-token; do
    if [ -n "$(container idp)" ]; then secret "$name" >>"$scratch/secrets"; fi
  done
}

show_logs() {
  local service
  for service in idp bff; do
    if [ -n "$(container "$service")" ]; then
      printf -- '--- log of %s\n' "$service"
      logs "$service" | tail -n 60
    fi
  done
}

# secret NAME: a secret of this stack. Copied by the engine: the image has no shell.
secret() {
  docker cp "$(container idp):/run/dev-secrets/$1" - | tar --extract --to-stdout
}

# beside_bff COMMAND...: runs it among the processes of bff, as a user who may look at them.
beside_bff() {
  docker run --rm --pid "container:$(container bff)" --cap-add SYS_PTRACE "$DEBIAN_IMAGE" "$@"
}

# --- bff and the IdP, from outside

# ask PATH [CURL-OPTION...]: the body that bff answers at its published port.
ask() {
  local path=$1
  shift
  curl --silent --show-error --max-time 10 "$@" "http://$(stack port bff 8000)$path"
}

# ask_admin PATH [CURL-OPTION...]: the token goes by standard input, since argv is public.
ask_admin() {
  printf 'header = "Authorization: Bearer %s"\n' "$(secret admin-token)" | ask "$@" --config -
}

status() {
  ask_admin /admin/status
}

# writes: how many requests the IdP had that change a client or a token.
writes() {
  logs idp | grep -cE '<- (POST|PUT|PATCH|DELETE) /api/(admin|oidc/(dcr/)?register)' || true
}

proofs() {
  logs idp | grep -cE '<- POST /api/oidc/token ' || true
}

# identity: who bff is at the IdP, and the key that it signs with.
identity() {
  status | jq --compact-output '[.registration.client_id, .registration.registered_at,
    (.keys[] | select(.state == "current").kid)]'
}
