# Targets: bff (the last, so the default) and dev-idp. Static binaries on an empty root file system.
# Reproducible for one source, one pair of base images and one SOURCE_DATE_EPOCH: the paths of the
# build are fixed, and Cargo.lock names every crate.

# The compiler of rust-toolchain.toml. .ci/pin-images adds the digests, and CI asks for them where
# the registry can be reached.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS toolchain
# The vendored OpenSSL is built with make and perl.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make perl \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked --root /usr/local cargo-auditable@0.7.7

FROM toolchain AS source
WORKDIR /src
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH \
    RUSTFLAGS="-C target-feature=+crt-static"
COPY . .

# --target, even for the host: without it build scripts and macros would be linked statically too.
# The cache keeps dependencies. What is ours is built anew, since cargo compares times only: a source
# that is older than the last build would otherwise end in the former program under a new label.
FROM source AS build-bff
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    target=$(rustc --print host-tuple) \
    && cargo clean --locked --profile dist --target "$target" --package bff --package dev-idp \
    && cargo auditable build --locked --profile dist --target "$target" --package bff \
    && install -D "target/$target/dist/bff" /out/bff

FROM source AS build-dev-idp
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    target=$(rustc --print host-tuple) \
    && cargo clean --locked --profile dist --target "$target" --package bff --package dev-idp \
    && cargo auditable build --locked --profile dist --target "$target" --package dev-idp \
        --features openssl/vendored \
    && install -D "target/$target/dist/dev-idp" /out/dev-idp

# Trust anchors as Debian ships them, whatever the machine of the toolchain trusts besides.
FROM ${DEBIAN_IMAGE} AS files
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# 65532: no login, no name, and the same in every image, since volumes outlive images.
RUN install -d -o 65532 -g 65532 -m 0700 /bff/app/keys /dev-idp/app/clients /dev-idp/run/dev-secrets \
    && install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /bff/etc/ssl/certs/ca-certificates.crt

FROM scratch AS dev-idp
COPY --from=files /dev-idp /
COPY --from=build-dev-idp /out/dev-idp /usr/local/bin/dev-idp
USER 65532:65532
WORKDIR /app
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["dev-idp", "healthcheck"]
ENTRYPOINT ["dev-idp"]

FROM scratch AS bff
COPY --from=files /bff /
COPY --from=build-bff /out/bff /usr/local/bin/bff
USER 65532:65532
WORKDIR /app
EXPOSE 8000
# The bootstrap retries for BFF_BOOTSTRAP_TIMEOUT before it gives up.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bff", "healthcheck"]
ENTRYPOINT ["bff"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bff" \
    org.opencontainers.image.description="Owns an OAuth client's identity: its keys, its JWK Set, its registration" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
