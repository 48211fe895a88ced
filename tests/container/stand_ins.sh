# shellcheck shell=bash
# An engine of our own and stand-ins for the base images, for a Debian machine that has no engine or
# can pull no image. Sourced by engine.sh. Everything lies below target/ci/engine, and is used again
# by the next run. The stand-ins have the packages of Debian's archive and the toolchain of this
# machine, so what is built from them is no image to ship.

readonly ENGINE=$PWD/target/ci/engine

own_engine=''

# start_own_engine: a daemon that this run owns; docker and compose find it by DOCKER_HOST.
start_own_engine() {
  need dockerd docker.io iptables iptables
  # The client that belongs to it: one from elsewhere may have no builder.
  export PATH=/usr/bin:$PATH
  mkdir -p "$ENGINE"
  dockerd --host "unix://$scratch/docker.sock" --pidfile "$scratch/docker.pid" \
    --exec-root "$scratch/exec" --data-root "$ENGINE/data" >"$scratch/dockerd.log" 2>&1 &
  own_engine=$!
  export DOCKER_HOST=unix://$scratch/docker.sock
  if ! wait_until 60 engine_answers; then
    tail -n 20 "$scratch/dockerd.log"
    cannot_run 'no container engine: dockerd does not start here, so no image was built and no stack run'
  fi
}

stop_own_engine() {
  if [ -z "$own_engine" ]; then return; fi
  kill "$own_engine" 2>/dev/null || true
  wait "$own_engine" 2>/dev/null || true
}

# Where apt finds Debian 12 on this machine.
archive() {
  apt-get indextargets --format "\$(REPO_URI)" 'Codename: bookworm' 'Created-By: Packages' | head -n 1
}

has_image() {
  docker image inspect "$1" >/dev/null 2>&1
}

# import IMAGE ROOT OPTION...: makes an image of a directory.
import() {
  local image=$1 root=$2
  shift 2
  tar --directory "$root" --create --exclude=./var/cache/apt/archives/'*.deb' . |
    docker import "$@" - "$image" >/dev/null
}

# make_stand_ins: sets DEBIAN_IMAGE and RUST_IMAGE to images made here.
make_stand_ins() {
  local root=$ENGINE/root version sysroot from
  version=$(rustc --version | cut -d' ' -f2)
  DEBIAN_IMAGE=stand-in-for-debian:bookworm-slim RUST_IMAGE=stand-in-for-rust:$version-slim-bookworm
  if has_image "$DEBIAN_IMAGE" && has_image "$RUST_IMAGE"; then return; fi

  need debootstrap debootstrap
  [ -n "$(archive)" ] || apt-get update -qq
  from=$(archive)
  rm -rf "$root"
  mkdir -p "$root"
  printf 'making stand-ins for the base images; this takes two minutes\n'
  debootstrap --variant=minbase bookworm "$root" "$from" >"$scratch/stand-ins.log" 2>&1 &&
    import "$DEBIAN_IMAGE" "$root" --change 'CMD ["bash"]' &&
    chroot "$root" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq --yes --no-install-recommends ca-certificates gcc libc6-dev >>"$scratch/stand-ins.log" 2>&1 || {
    tail -n 20 "$scratch/stand-ins.log"
    rm -rf "$root"
    cannot_run 'no base images: none can be pulled, and no stand-ins be made, so no image was built and no stack run'
  }

  # Cargo in the build trusts whom this machine trusts; the image under test gets none of it.
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} + || true
  chroot "$root" update-ca-certificates >>"$scratch/stand-ins.log" 2>&1
  sysroot=$(rustc --print sysroot)
  mkdir "$root/usr/local/rust"
  tar --directory "$sysroot" --create --exclude=./share --exclude=./lib/rustlib/src . |
    tar --directory "$root/usr/local/rust" --extract
  import "$RUST_IMAGE" "$root" --change 'ENV CARGO_HOME=/usr/local/cargo' \
    --change 'ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  rm -rf "$root"
}
