# shellcheck shell=bash
# Steps, their outcomes and the summary. Sourced by run.
#
# CI_STRICT=1 makes a step that cannot run here a failure.

readonly CANNOT_RUN=75

# Where a step that cannot run leaves its reason.
readonly reason=$PWD/target/ci/reason.$$
# The steps export it, so that a process which left its group is still known as theirs.
# One that is inherited would be handed on, and so count what looks for leftovers among them.
unset CI_RUN_ID
readonly CI_RUN_ID=$$-$RANDOM$RANDOM
mkdir -p target/ci

passed=0 failed=0 skipped=0 summary='' reasons='' group=''

# step NAME COMMAND...: runs it in a process group of its own, and goes on whatever comes of it.
step() {
  local name=$1 started=$SECONDS code=0 outcome
  shift
  printf '\n== %s\n' "$name"
  rm -f "$reason"

  set -m
  (
    set +m
    export CI_RUN_ID
    "$@"
  ) </dev/null &
  group=$!
  set +m
  wait "$group" || code=$?
  if ! all_ended; then
    printf '%s left processes behind: %s\n' "$name" "$(names_of_leftovers)"
    end_leftovers
    code=1
  fi
  group=''

  if [ "$code" -eq 0 ]; then
    passed=$((passed + 1)) outcome='passed'
  elif [ "$code" -eq "$CANNOT_RUN" ] && [ -s "$reason" ]; then
    skipped=$((skipped + 1)) outcome="SKIPPED: $(cat "$reason")"
    reasons+="  $name: $(cat "$reason")"$'\n'
  else
    failed=$((failed + 1)) outcome='FAILED'
  fi
  printf '== %s: %s\n' "$name" "$outcome"
  summary+=$(printf '%5ss  %-24s %s' "$((SECONDS - started))" "$name" "$outcome")$'\n'
}

# skip REASON: ends the step as one that cannot run here.
skip() {
  printf '%s\n' "$1" | tee "$reason"
  exit "$CANNOT_RUN"
}

# skip_if_it_cannot COMMAND...: runs it; if it ends with 75, its last line is the reason of a skip.
skip_if_it_cannot() {
  local log=$reason.log code=0
  "$@" 2>&1 | tee "$log" || code=$?
  if [ "$code" -eq "$CANNOT_RUN" ]; then skip "$(tail -n 1 "$log")"; fi
  return "$code"
}

# at_least NAME COUNT: fails if .ci/floors asks for more of them.
at_least() {
  local floor
  floor=$(sed -n "s/^$1=\([0-9]\{1,\}\)\$/\1/p" .ci/floors)
  if [ -z "$floor" ]; then
    printf '.ci/floors has no number for %s\n' "$1"
    return 1
  fi
  printf '%s: %s ran, and at least %s have to\n' "$1" "$2" "$floor"
  [ "$2" -ge "$floor" ]
}

# finish: prints the summary; its status is that of the whole run.
finish() {
  printf '\n== summary, %s s in all\n%s\n' "$SECONDS" "$summary"
  printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
  if [ "$skipped" -gt 0 ]; then
    printf '\nNOT CHECKED HERE, %s of %s steps:\n%s' "$skipped" "$((passed + failed + skipped))" "$reasons"
    if [ "${CI_STRICT:-}" = 1 ]; then
      printf 'CI_STRICT=1: what cannot run counts as failed\n'
      return 1
    fi
    printf 'CI_STRICT=1 makes this a failure\n'
  fi
  [ "$failed" -eq 0 ]
}

# --- processes that outlive their step

# leftovers: the ids of what is in the step's process group, or carries its mark, and is no zombie.
leftovers() {
  local stat line state process_group
  for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    read -r state _ process_group _ <<<"${line##*) }"
    if [ "$process_group" = "$group" ] && [ "$state" != Z ]; then basename "${stat%/stat}"; fi
  done
  grep -lsz "^CI_RUN_ID=$CI_RUN_ID\$" /proc/[0-9]*/environ | cut -d/ -f3 || true
}

names_of_leftovers() {
  local pid
  for pid in $(leftovers); do cat "/proc/$pid/comm" 2>/dev/null || true; done | sort -u | xargs
}

# all_ended: true once nothing of the step runs; what is just ending gets two seconds.
all_ended() {
  local _
  for _ in {1..20}; do
    if [ -z "$(leftovers)" ]; then return 0; fi
    sleep 0.1
  done
  return 1
}

end_leftovers() {
  local pid
  for pid in $(leftovers); do kill -KILL "$pid" 2>/dev/null || true; done
}

clean_up() {
  end_leftovers
  rm -f "$reason" "$reason.log"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
