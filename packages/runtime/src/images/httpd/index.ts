// httpd (Apache): serves /usr/local/apache2/htdocs on port 80.

import type { Process } from "../../kernel/process.ts";
import { accessLog, staticFile } from "../../tools/static-server.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";

const ROOT = "/usr/local/apache2/htdocs";
const VERSION = "2.4.39";

async function httpdMain(p: Process): Promise<number> {
  p.net.serveHttp(p, { port: 80 }, (req, res) => {
    const a = staticFile(p, ROOT, req.url ?? "/");
    const text =
      a.status === 200
        ? a.body
        : Buffer.from(
            `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>${a.status} ${WORDS[a.status]}</title>\n</head><body>\n<h1>${WORDS[a.status]}</h1>\n</body></html>\n`,
          );
    res.writeHead(a.status, {
      Server: `Apache/${VERSION} (Unix)`,
      "Content-Type": a.headers["Content-Type"] ?? "text/html; charset=iso-8859-1",
      ...a.headers,
      "Content-Length": String(text.length),
    });
    res.end(req.method === "HEAD" ? undefined : text);
    accessLog(p, req, a.status, text.length, false);
  });
  await p.printError(
    `[mpm_event:notice] [pid ${p.pid}:tid 1] AH00489: Apache/${VERSION} (Unix) configured -- resuming normal operations\n`,
  );
  const stop = () => p.terminate({ code: 0, signal: 0 });
  for (const s of [15, 28]) p.onSignal(s, stop);
  await p.block(() => () => undefined);
  return 0;
}

const WORDS: Record<number, string> = { 301: "Moved Permanently", 400: "Bad Request", 403: "Forbidden", 404: "Not Found" };

export const httpd: ImageSpec = {
  repositories: ["httpd", "library/httpd", "e2e-test-images/httpd"],
  tags: ["*"],
  cmd: ["httpd-foreground"],
  workingDir: "/usr/local/apache2",
  stopSignal: "SIGWINCH",
  exposedPorts: [{ port: 80, protocol: "TCP" }],
  sizeBytes: 41_902_010,
  env: {
    PATH: "/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HTTPD_PREFIX: "/usr/local/apache2",
    HTTPD_VERSION: VERSION,
  },
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/usr/local/bin/httpd-foreground", program: httpdMain },
    { path: `${ROOT}/index.html`, content: "<html><body><h1>It works!</h1></body></html>\n" },
  ],
};
