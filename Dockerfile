# docker build -t kvm-exit-exporter .                                  for this machine
# docker buildx build --platform linux/amd64,linux/arm64 ...           for several: there is no native module, so only the last stage differs
# docs/install/container.md says how to start it, and how to build it so that the same source gives the same layers.

# A release gives both by digest (--build-arg RUNTIME=...@sha256:...). Distroless has no tags for versions: its repository's name has them.
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
# What only compilers, bundlers and browsers read, is more than half of it; package.json, licences and Node.js' own build of each package stay.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -path '*/build/esm/*' -o -path '*/build/esnext/*' -o -path '*/bintrees/test/*' \) -delete \
 && find node_modules -type d -empty -delete

# Distroless rather than node:24-slim: the agent is root, so there should be nothing but Node.js that somebody who gets in could use - no shell, no
# npm, no package manager. For a shell, build with RUNTIME=gcr.io/distroless/nodejs24-debian13:debug.
FROM ${RUNTIME}
COPY --from=dependencies /dependencies/node_modules /app/node_modules
COPY --from=build /build/build/src /app/build/src
COPY package.json LICENSE /app/
# Of the demonstration.
COPY deploy/demo/recording /app/deploy/demo/recording
ENV NODE_ENV=production
# Root, because the files of tracefs belong to root: it is let in as their owner, and needs no capability. Drop them all (--cap-drop=ALL).
# hadolint ignore=DL3002
USER 0:0
EXPOSE 10586
STOPSIGNAL SIGTERM
# Takes the agent's variables, so that it asks where the agent listens; needs no password or certificate. Costs 0.2 s of CPU, as Node.js starts.
HEALTHCHECK --interval=60s --timeout=10s --start-period=10s --retries=3 CMD ["/nodejs/bin/node", "/app/build/src/healthcheck.js"]
ENTRYPOINT ["/nodejs/bin/node", "/app/build/src/main.js"]
CMD ["run"]
# Last, as they change with every release.
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
