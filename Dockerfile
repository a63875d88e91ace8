# The sweeper's image, made in two stages; no BuildKit needed.
#
#   make image    with its revision; or, without it,
#   docker build -t reservation-sweeper .
#   docker run --read-only -e DATABASE_URL=... -e REDIS_URL=... reservation-sweeper --check-config
# May be pinned: BASE_IMAGE=debian:trixie-slim@sha256:...
ARG BASE_IMAGE=debian:trixie-slim
# The Makefile's, as make release-check proves: so that a build without make has the label too.
ARG VERSION=0.2.0

FROM ${BASE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make pkgconf \
        libhiredis-dev libssl-dev libpq-dev libevent-dev libjansson-dev libyaml-dev
WORKDIR /src
# Only what is compiled: a change elsewhere leaves this layer as it is.
COPY Makefile ./
COPY tools tools
COPY include include
COPY src src
COPY lua lua
COPY sql sql
COPY web web
# For the label of a version that is not this one nothing is built.
ARG VERSION
RUN test "$VERSION" = "$(make print-version)" \
 && make -j"$(nproc)" NO_INSTALL=1
# Another revision compiles one file, and links.
ARG REVISION
RUN make NO_INSTALL=1 REVISION="$REVISION" \
 && strip build/reservation-sweeper

FROM ${BASE_IMAGE}
# Libraries alone: no documentation, no package lists, no logs of the installation.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
        -o DPkg::Options::=--path-exclude=/usr/share/doc/* \
        -o DPkg::Options::=--path-include=/usr/share/doc/*/copyright \
        -o DPkg::Options::=--path-exclude=/usr/share/man/* \
        -o DPkg::Options::=--path-exclude=/usr/share/locale/* \
        ca-certificates libevent-core-2.1-7t64 libevent-extra-2.1-7t64 libhiredis1.1.0 \
        libjansson4 libpq5 libssl3t64 libyaml-0-2 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* \
        /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin sweeper
COPY LICENSE /usr/share/doc/reservation-sweeper/copyright
COPY --from=build /src/build/reservation-sweeper /usr/local/bin/reservation-sweeper

# Here, so that another revision changes no layer above. What is not given is an empty label.
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="reservation-sweeper" \
      org.opencontainers.image.description="Releases expired stock reservations on time" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT"

# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
# Asks the daemon's /readyz, at the port of SWEEPER_HTTP_LISTEN.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/reservation-sweeper", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/reservation-sweeper"]
