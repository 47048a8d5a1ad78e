// etcd beside a sample API server: it listens, tells its health and version, and keeps nothing; there is no key-value service in it.

import type { Process } from "../../kernel/process.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";

const CLIENT_URL = "http://localhost:2379";
const VERSION = "3.6.4";

async function etcdMain(p: Process): Promise<number> {
  const flag = (name: string, otherwise: string) => {
    const at = p.argv.findIndex((a) => a.replace(/^--?/, "").split("=")[0] === name);
    const word = p.argv[at];
    return at < 0 ? otherwise : word?.includes("=") ? word.slice(word.indexOf("=") + 1) : (p.argv[at + 1] ?? otherwise);
  };
  for (const text of flag("listen-client-urls", CLIENT_URL).split(",")) {
    const url = new URL(text);
    const host = url.hostname === "localhost" ? "127.0.0.1" : url.hostname;
    p.net.serveHttp(p, { host, port: Number(url.port || 2379) }, (req, res) => {
      const answer = ANSWERS[(req.url ?? "/").split("?")[0] as string];
      res.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
      res.end(answer ?? "404 page not found\n");
    });
  }
  await p.printError(`{"level":"info","msg":"ready to serve client requests","etcd-version":"${VERSION}"}\n`);
  for (const s of [2, 15]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

const ANSWERS: { [path: string]: string } = {
  "/health": '{"health":"true","reason":""}',
  "/version": `{"etcdserver":"${VERSION}","etcdcluster":"3.6.0","storage":"3.6.0"}`,
};

export const etcd: ImageSpec = {
  repositories: ["etcd", "coreos/etcd"],
  tags: ["*"],
  cmd: ["etcd"],
  exposedPorts: [{ port: 2379, protocol: "TCP" }],
  sizeBytes: 22_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/usr/local/bin/etcd", program: etcdMain },
  ],
};
