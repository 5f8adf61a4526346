# The service alone: EventStoreDB, Postgres and Redis are reached by URL, so nothing embedded is in here.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# What is optional are the Postgres binaries of each platform.
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Incident Ledger" \
      org.opencontainers.image.description="A service that records incidents as events, for good" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3003 DATA_DIR=/data LOG_FORMAT=json
WORKDIR /app
RUN install --directory --owner=node --group=node --mode=0700 /data \
 && printf '#!/bin/sh\nexec node /app/dist/cli/main.js "$@"\n' > /usr/local/bin/incident-ledger \
 && chmod 0755 /usr/local/bin/incident-ledger
COPY --from=build /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY projections-sql ./projections-sql
COPY --from=build /app/dist ./dist
USER node
VOLUME /data
EXPOSE 3003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`, { signal: AbortSignal.timeout(4000) }).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
