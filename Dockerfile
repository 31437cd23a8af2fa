# The pooler for production: no embedded Postgres, so DATABASE_URL and the secrets must be given.
FROM node:24-slim AS dependencies
WORKDIR /latchkey
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production API_HOST=0.0.0.0 PORT=4000
WORKDIR /latchkey
# Owned by root and read by the user below: the process cannot change its own code.
COPY package.json LICENSE ./
COPY --from=dependencies /latchkey/node_modules ./node_modules
COPY shared ./shared
COPY pooler ./pooler
USER node
# API, transaction mode, session mode and direct.
EXPOSE 4000 6543 5432
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "\
    const tls = process.env.API_TLS === 'true'; \
    if (tls) process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; \
    fetch(`${tls ? 'https' : 'http'}://127.0.0.1:${process.env.PORT}/api/health`) \
      .then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# node itself is process 1: SIGTERM drains.
CMD ["node", "--max-semi-space-size=16", "pooler/main.ts"]
