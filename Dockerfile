# One image for every component: docker compose up. The first stage bundles with the pinned Node, the second holds that Node, the
# bundles and nats-server.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml .npmrc ./
# Dependencies first, by the lockfile alone: a change of sources does not fetch them again.
RUN npx -y "$(node -p 'require("./package.json").packageManager')" fetch
COPY scripts scripts
COPY packages packages
COPY services services
RUN npx -y "$(node -p 'require("./package.json").packageManager')" install --offline --frozen-lockfile \
 && node scripts/node.mjs scripts/bundle.ts \
 && cp -L node_modules/node/bin/node /node

FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -y -q --no-install-recommends nats-server && rm -rf /var/lib/apt/lists/*
COPY --from=build /node /usr/local/bin/node
WORKDIR /opt/podwire
COPY package.json ./
COPY --from=build /src/dist dist
RUN touch .podwire-root && mkdir -p /state /kube /var/lib/podwire
ENV PODWIRE_HOME=/state NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compile-cache
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=2", "dist/cli.mjs", "container"]
