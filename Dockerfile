# docker build -t kvm-exit-exporter .                           for this machine
# docker buildx build --platform linux/amd64,linux/arm64 ...    for several; only the last stage differs between them
#
# docs/install/container.md describes how to start the image, and how to build it reproducibly.

# A release pins both images by digest (--build-arg RUNTIME=...@sha256:...). Distroless has no tags for versions: the
# repository's name contains the version.
ARG BUILD=node:24-trixie-slim
ARG RUNTIME=gcr.io/distroless/nodejs24-debian13:latest

FROM --platform=$BUILDPLATFORM ${BUILD} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src src
RUN npm run build -- --sourceMap false --incremental false

FROM --platform=$BUILDPLATFORM ${BUILD} AS dependencies
WORKDIR /dependencies
COPY package.json package-lock.json ./
# Removes what only compilers, bundlers and browsers read, which is more than half of the size. The rest is
# package.json, licences, and the build of each package for Node.js.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -path '*/build/esm/*' -o -path '*/build/esnext/*' -o -path '*/bintrees/test/*' \) -delete \
 && find node_modules -type d -empty -delete

# Distroless instead of node:24-slim: the agent runs as root, so an intruder should find neither shell nor npm nor
# package manager. For a shell, build with RUNTIME=gcr.io/distroless/nodejs24-debian13:debug.
FROM ${RUNTIME}
COPY --from=dependencies /dependencies/node_modules /app/node_modules
COPY --from=build /build/build/src /app/build/src
COPY package.json LICENSE /app/
# The demo's recording.
COPY deploy/demo/recording /app/deploy/demo/recording
# The pages below /runbooks and /advice.
COPY deploy/runbooks /app/deploy/runbooks
COPY docs/advice /app/docs/advice
ENV NODE_ENV=production
# glibc would give each thread of Node.js a heap of its own, and keep what is free between pieces in use: several MB
# more in all (docs/overhead.md).
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768
# Root, because it owns the files of tracefs. An owner needs no capability, so drop them all (--cap-drop=ALL).
# hadolint ignore=DL3002
USER 0:0
EXPOSE 10586
STOPSIGNAL SIGTERM
# The check reads the agent's environment variables to know where the agent listens. It needs no password or
# certificate. It costs 0.2 s of CPU, the time in which Node.js starts.
HEALTHCHECK --interval=60s --timeout=10s --start-period=10s --retries=3 CMD ["/nodejs/bin/node", "/app/build/src/main.js", "healthcheck"]
ENTRYPOINT ["/nodejs/bin/node", "/app/build/src/main.js"]
CMD ["run"]
# These change with every release, so they come last.
ARG RUNTIME
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="kvm-exit-exporter" \
      org.opencontainers.image.description="How many VM exits end up in QEMU, of which VM, why, and what do they cost: a Prometheus exporter for KVM hosts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${RUNTIME}"
