# shellcheck shell=bash
# What users are promised, one function each. Sourced by run, which calls them in this order.

readonly MAX_IMAGE_BYTES=15000000
readonly WRONG_TOKEN=this-token-was-never-minted-anywhere

image_bytes='' healthy_ms='' ready_ms='' memory=''

# check PROMISE FUNCTION
check() {
  local started=$SECONDS
  "$2"
  printf 'ok    %s (%s s)\n' "$1" "$((SECONDS - started))"
}

# broken MESSAGE...: ends the test.
broken() {
  printf 'not ok    %s: %s\n' "${FUNCNAME[1]}" "$*"
  exit 1
}

# same WHAT EXPECTED SEEN
same() {
  if [ "$2" != "$3" ]; then
    printf 'not ok    %s: %s\n--- expected\n%s\n--- seen\n%s\n' "${FUNCNAME[1]}" "$1" "$2" "$3"
    exit 1
  fi
}

the_images_build() {
  REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  export REVISION
  stack build --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE" --build-arg "RUST_IMAGE=$RUST_IMAGE" \
    >"$scratch/build.log" 2>&1 || {
    tail -n 60 "$scratch/build.log"
    broken 'the build failed'
  }
}

the_image_is_bare() {
  local image=bff:$PROJECT made version label
  image_bytes=$(docker image inspect --format '{{.Size}}' "$image")
  if [ "$image_bytes" -gt "$MAX_IMAGE_BYTES" ]; then
    broken "it has $image_bytes bytes, more than $MAX_IMAGE_BYTES"
  fi

  # The engine adds the rest to every container.
  made=$(docker create "$image")
  docker export "$made" | tar --list --verbose --numeric-owner |
    awk '{ print $1, $2, $6 }' |
    grep -vE ' (\.dockerenv|dev/.*|proc/|sys/|etc/(hostname|hosts|mtab|resolv\.conf))$' |
    sort --key 3 >"$scratch/files"
  docker rm "$made" >/dev/null
  same 'its files' "$(
    cat <<'FILES'
drwxr-xr-x 0/0 app/
drwx------ 65532/65532 app/keys/
drwxr-xr-x 0/0 etc/
drwxr-xr-x 0/0 etc/ssl/
drwxr-xr-x 0/0 etc/ssl/certs/
-r--r--r-- 0/0 etc/ssl/certs/ca-certificates.crt
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/local/
drwxr-xr-x 0/0 usr/local/bin/
-rwxr-xr-x 0/0 usr/local/bin/bff
FILES
  )" "$(cat "$scratch/files")"

  same 'its user' 65532:65532 "$(docker image inspect --format '{{.Config.User}}' "$image")"
  version=$(docker run --rm "$image" --version)
  label=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}' "$image")
  same 'its version label' "$version" "bff $label"
  label=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$image")
  same 'its revision label' "$REVISION" "$label"
}

a_fresh_stack_becomes_healthy() {
  local started
  started=$(date +%s%3N)
  up
  wait_healthy
  healthy_ms=$(($(date +%s%3N) - started))
  ready_ms=$(logs bff | jq --raw-input --slurp '
    def ms: capture("(?<s>.*)\\.(?<f>[0-9]{3})") | ((.s + "Z" | fromdate) * 1000 + (.f | tonumber));
    [split("\n")[] | fromjson? | select(.message == "bff starts" or .message == "Ready").timestamp | ms]
    | last - first')
  memory=$(docker stats --no-stream --format '{{.MemUsage}}' "$(container bff)")
}

the_client_is_registered() {
  local clients
  same 'the registration' '["registered","http://idp:8002/api/oidc","bff-server","accepted"]' "$(
    status | jq --compact-output \
      '[.registration.state, .registration.issuer, .registration.client_id, .proof.outcome]'
  )"
  clients=$(docker cp "$(container idp):/app/clients/clients.yaml" - | tar --extract --to-stdout)
  if ! grep -q 'bff-server' <<<"$clients"; then broken 'clients.yaml of the IdP does not name it'; fi
  same 'the writes that it took' 1 "$(writes)"
}

the_idp_fetched_the_jwk_set() {
  # Not through a pipe: grep leaves at the first match, and whoever writes on counts as failed.
  if ! grep -qF -- '-> GET http://bff:8000/.well-known/jwks.json 200' <<<"$(logs idp)"; then
    broken 'the log of the IdP shows no fetch'
  fi
  same 'the members of what is published' 'alg crv kid kty use x y' \
    "$(ask /.well-known/jwks.json | jq --raw-output '.keys[0] | keys | join(" ")')"
}

bff_runs_confined() {
  local seen
  seen=$(beside_bff grep -E '^(Uid|Gid|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs):' /proc/1/status | xargs)
  same 'its privileges' "$(
    xargs <<'SEEN'
Uid: 65532 65532 65532 65532
Gid: 65532 65532 65532 65532
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapBnd: 0000000000000000
CapAmb: 0000000000000000
NoNewPrivs: 1
SEEN
  )" "$seen"
  same 'its root file system' ro "$(beside_bff cat /proc/1/mounts | awk '$2 == "/" { print substr($4, 1, 2) }')"
  same 'its keys volume' '700 65532 65532' "$(beside_bff stat --format '%a %u %g' /proc/1/root/app/keys)"
  same 'the modes of its files' 600 \
    "$(beside_bff find /proc/1/root/app/keys -type f -printf '%m\n' | sort -u)"
  same 'its memory limit' 67108864 "$(inspect bff '{{.HostConfig.Memory}}')"
}

no_secret_is_in_a_log() {
  keep_evidence
  if grep -qvE '.{16}' "$scratch/secrets"; then broken 'a secret is too short to be looked for'; fi
  if grep -qFf "$scratch/secrets" "$scratch/all.log"; then broken 'a token is in a log'; fi
  if grep -qE 'PRIVATE KEY|eyJ[A-Za-z0-9_-]{20}' "$scratch/all.log"; then
    broken 'a private key or a signed token is in a log'
  fi
}

# unchanged_after COMMAND...: the same client and key, proven anew, and not one write.
unchanged_after() {
  local before writes_before proofs_before
  before=$(identity) writes_before=$(writes) proofs_before=$(proofs)
  quietly "$@"
  wait_healthy
  same 'the client and its key' "$before" "$(identity)"
  same 'the writes at the IdP' "$writes_before" "$(writes)"
  if [ "$(proofs)" -le "$proofs_before" ]; then broken 'the key was not proven again'; fi
}

a_restart_sends_no_write() {
  unchanged_after stack restart bff
}

kill_and_up() {
  stack kill -s KILL bff
  wait_until 10 exited bff || broken 'it was not killed'
  stack up --detach
}

a_kill_loses_nothing() {
  unchanged_after kill_and_up
}

signs_with() {
  [ "$(status | jq --raw-output '.keys[] | select(.state == "current").kid')" = "$1" ]
}

the_key_is_rotated() {
  local before answer kid
  before=$(ask /.well-known/jwks.json | jq --raw-output '.keys[0].kid')
  answer=$(ask_admin /admin/rotate --request POST --header 'Content-Type: application/json' \
    --data '{"mode":"now"}' --write-out '\n%{http_code}')
  same 'the answer to the order' 202 "${answer##*$'\n'}"
  kid=$(head -n 1 <<<"$answer" | jq --raw-output .kid)
  wait_until 60 signs_with "$kid" || broken "60 s later it does not sign with $kid: $(status)"
  same 'the last proof' "[\"$kid\",\"accepted\"]" \
    "$(status | jq --compact-output '[.proof.kid, .proof.outcome]')"
  same 'the published keys' "$(sort <<<"$before"$'\n'"$kid")" \
    "$(ask /.well-known/jwks.json | jq --raw-output '.keys[].kid' | sort)"
  same 'its health' healthy "$(inspect bff '{{.State.Health.Status}}')"
  same 'the key that bff status inside names' "$kid" "$(stack exec -T bff bff --json status |
    jq --raw-output '.keys[] | select(.state == "current").kid')"
}

the_volumes_survive() {
  local before
  before=$(identity)
  down
  up
  wait_healthy
  same 'the client and its key' "$before" "$(identity)"
  same 'the writes at the IdP' 0 "$(writes)"
}

# ended_with CODE WORDS: bff has exited so, and its log has one error, in which WORDS are.
ended_with() {
  local errors
  wait_until 60 exited bff || broken 'it is still running after 60 s'
  same 'the exit code' "$1" "$(inspect bff '{{.State.ExitCode}}')"
  errors=$(logs bff | grep -E '"level":"ERROR"|^error' || true)
  same 'the number of errors in the log' 1 "$(grep -c . <<<"$errors")"
  if ! grep -qF -- "$2" <<<"$errors"; then broken "the error does not say '$2': $errors"; fi
}

a_wrong_token_is_told_once() {
  down --volumes
  DCR_IAT=$WRONG_TOKEN DCR_IAT_FILE='' up
  ended_with 77 'bff mint-iat'
  if grep -qF -- "$WRONG_TOKEN" <<<"$(logs bff)"; then broken 'the token is in the log'; fi
}

a_good_token_heals() {
  up
  wait_healthy
  same 'the registration' registered "$(status | jq --raw-output .registration.state)"
}

a_wrong_setting_is_named() {
  local writes_before
  writes_before=$(writes)
  DCR_ENABLED=perhaps up
  wait_until 60 exited bff || broken 'it is still running after 60 s'
  same 'the exit code' 78 "$(inspect bff '{{.State.ExitCode}}')"
  if ! grep -qF 'DCR_ENABLED' <<<"$(logs bff)"; then broken "the log does not say which: $(logs bff)"; fi
  same 'the writes at the IdP' "$writes_before" "$(writes)"
}

# on_the_proxy_network PORT PATH: the answer of the production stack's bff, as the proxy gets it.
on_the_proxy_network() {
  docker run --rm --network "$PROJECT-proxy" "$DEBIAN_IMAGE" bash -c \
    "exec 3<>/dev/tcp/bff/$1 && printf 'GET $2 HTTP/1.0\r\nHost: bff\r\n\r\n' >&3 && cat <&3"
}

the_production_stack_serves() {
  local project=$PROJECT-production kid answer
  install -m 0444 /dev/stdin "$scratch/bff_admin_token" <<<"admin-token-of-$project"
  docker network create "$PROJECT-proxy" >/dev/null
  quietly production up --detach
  wait_healthy
  kid=$(production exec -T bff bff --json status | jq --raw-output '.keys[].kid')
  if [ -z "$kid" ]; then broken 'it has made no key'; fi
  answer=$(on_the_proxy_network 8000 /.well-known/jwks.json)
  if ! grep -qF -- "\"kid\":\"$kid\"" <<<"$answer"; then broken "its JWK Set has no $kid: $answer"; fi
  if on_the_proxy_network 8001 /metrics >/dev/null 2>&1; then broken 'the proxy reaches /metrics'; fi
  if production exec -T bff bff healthcheck >/dev/null 2>&1; then
    broken 'it is ready without an IdP'
  fi
  if logs bff | grep -F 'is not a setting'; then broken 'it names a setting that does not exist'; fi
  quietly production down --volumes
}
