# One image for every component: docker compose up. The first stage bundles, the second holds Node, the bundles and nats-server.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml .npmrc ./
COPY scripts scripts
COPY packages packages
COPY services services
# --ignore-scripts: the image has Node 24 already, so the pinned one need not be fetched; esbuild's binary is a package of its own.
RUN npx -y "$(node -p 'require("./package.json").packageManager')" install --frozen-lockfile --ignore-scripts \
 && node scripts/bundle.ts

FROM node:24-bookworm-slim
RUN apt-get update -q && apt-get install -y -q --no-install-recommends nats-server && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/podwire
COPY package.json ./
COPY --from=build /src/dist dist
RUN touch .podwire-root && mkdir -p /state /kube /var/lib/podwire
ENV PODWIRE_HOME=/state NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compile-cache
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=4", "dist/cli.mjs", "container"]
