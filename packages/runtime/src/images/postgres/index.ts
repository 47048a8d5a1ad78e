// postgres: accepts connections on 5432, keeps tables of simple statements in PGDATA, and has psql and pg_isready.
import type { Process } from "../../kernel/process.ts";
import { openDatabases, setting } from "../../tools/sql/storage.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { pgIsReady, psql } from "./client.ts";
import { POSTGRES, PostgresConnection } from "./server.ts";

const PORT = 5432;
const DATA = "/var/lib/postgresql/data";

async function postgresMain(p: Process): Promise<number> {
  const user = setting(p, "POSTGRES_USER") ?? "postgres";
  const password = setting(p, "POSTGRES_PASSWORD");
  const trust = p.env.get("POSTGRES_HOST_AUTH_METHOD") === "trust";
  if (!password && !trust) {
    await p.printError(
      'Error: Database is uninitialized and superuser password is not specified.\n       You must specify POSTGRES_PASSWORD to a non-empty value for the\n       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".\n',
    );
    return 1;
  }
  const data = p.env.get("PGDATA") ?? DATA;
  p.fs.mkdirs(data);
  const databases = openDatabases(p, `${data}/podwire-tables.json`, POSTGRES);
  if (!p.fs.exists(`${data}/PG_VERSION`)) p.fs.writeFile(`${data}/PG_VERSION`, "17\n");
  for (const name of ["postgres", p.env.get("POSTGRES_DB") ?? user]) if (!databases.has(name)) databases.create(name);
  const users = new Map([[user, password ?? ""]]);
  p.net.listen(p, { port: PORT, allowHalfOpen: true }, (s) => new PostgresConnection(p, s, { databases, users, trust }));
  await p.printError(`LOG:  listening on IPv4 address "0.0.0.0", port ${PORT}\nLOG:  database system is ready to accept connections\n`);
  for (const [signal, what] of [
    [15, "smart"],
    [2, "fast"],
  ] as const)
    p.onSignal(signal, () => {
      void p.printError(`LOG:  received ${what} shutdown request\nLOG:  database system is shut down\n`);
      p.terminate({ code: 0, signal: 0 });
    });
  await p.block(() => () => undefined);
  return 0;
}

export const postgres: ImageSpec = {
  repositories: ["postgres", "library/postgres", "bitnami/postgresql"],
  tags: ["*"],
  entrypoint: ["docker-entrypoint.sh"],
  cmd: ["postgres"],
  env: { PGDATA: DATA, PG_MAJOR: "17", LANG: "en_US.utf8" },
  stopSignal: "SIGINT",
  exposedPorts: [{ port: PORT, protocol: "TCP" }],
  sizeBytes: 150_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: `${PASSWD}postgres:x:999:999::/var/lib/postgresql:/bin/sh\n` },
    { path: "/etc/group", content: `${GROUP}postgres:x:999:\n` },
    { path: "/var/lib/postgresql/data", dir: true, mode: 0o1777, uid: 999, gid: 999 },
    { path: "/usr/local/bin/postgres", program: postgresMain },
    { path: "/usr/local/bin/psql", program: psql },
    { path: "/usr/local/bin/pg_isready", program: pgIsReady },
    {
      path: "/usr/local/bin/docker-entrypoint.sh",
      mode: 0o755,
      content: '#!/bin/sh\ncase "$1" in -*) set -- postgres "$@";; esac\nexec "$@"\n',
    },
  ],
};
