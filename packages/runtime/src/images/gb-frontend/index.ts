// gb-frontend: the page and the guestbook.php of Kubernetes' guestbook example. Writes go to redis-leader, reads to redis-follower.
import type http from "node:http";
import type { Process } from "../../kernel/process.ts";
import { accessLog } from "../../tools/static-server.ts";
import { escapeHtml } from "../agnhost/http-server.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { encodeCommand } from "../redis/replication.ts";

const REDIS_PORT = 6379;
const TIMEOUT_MS = 5_000;

/** GET_HOSTS_FROM=env takes the Services' variables, anything else the names. */
function hostOf(p: Process, role: "leader" | "follower"): string {
  const name = `redis-${role}`;
  return p.env.get("GET_HOSTS_FROM") === "env" ? (p.env.get(`REDIS_${role.toUpperCase()}_SERVICE_HOST`) ?? name) : name;
}

/** One command, its answer as text. Rejects when the server cannot be reached or says an error. */
async function redis(p: Process, host: string, args: string[]): Promise<string> {
  const s = await p.net.connect(p, { host, port: REDIS_PORT, timeoutMs: TIMEOUT_MS });
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = p.clock.after(TIMEOUT_MS, () => s.destroy(new Error("read timed out")), { unref: true });
    const done = (f: () => void) => {
      timer.cancel();
      s.destroy();
      f();
    };
    s.on("error", (e) => done(() => reject(e)));
    s.on("close", () => done(() => reject(new Error("connection closed"))));
    s.on("data", (d: Buffer) => {
      text += d.toString("utf8");
      const end = text.indexOf("\r\n");
      if (end < 0) return;
      const rest = text.slice(end + 2);
      if (text[0] === "-") done(() => reject(new Error(text.slice(1, end))));
      else if (text[0] !== "$") done(() => resolve(text.slice(1, end)));
      else if (text.startsWith("$-1")) done(() => resolve(""));
      else if (Buffer.byteLength(rest) >= Number(text.slice(1, end)) + 2) done(() => resolve(rest.slice(0, -2)));
    });
    s.write(encodeCommand(args));
  });
}

const PAGE = `<!DOCTYPE html>
<html>
<head><title>Guestbook</title></head>
<body>
<h2>Guestbook</h2>
<form action="guestbook.php"><input type="hidden" name="cmd" value="append"><input type="hidden" name="key" value="messages"><input name="value"><button>Submit</button></form>
<pre id="messages">MESSAGES</pre>
</body>
</html>
`;

async function respond(p: Process, url: URL): Promise<{ status: number; type: string; body: string }> {
  const json = (value: object, status = 200) => ({ status, type: "application/json", body: JSON.stringify(value) });
  const key = url.searchParams.get("key") ?? "messages";
  const value = url.searchParams.get("value") ?? "";
  if (url.pathname === "/" || url.pathname === "/index.html") {
    const messages = await redis(p, hostOf(p, "follower"), ["GET", "messages"]).catch(() => "");
    return { status: 200, type: "text/html", body: PAGE.replace("MESSAGES", () => escapeHtml(messages.replaceAll(",", "\n"))) };
  }
  if (url.pathname !== "/guestbook.php") return { status: 404, type: "text/html", body: "Not Found\n" };
  switch (url.searchParams.get("cmd")) {
    case "set":
      await redis(p, hostOf(p, "leader"), ["SET", key, value]);
      return json({ message: "Updated" });
    case "append": {
      const old = await redis(p, hostOf(p, "leader"), ["GET", key]);
      await redis(p, hostOf(p, "leader"), ["SET", key, `${old},${value}`]);
      return json({ message: "Updated" });
    }
    default:
      return json({ data: await redis(p, hostOf(p, "follower"), ["GET", key]) });
  }
}

async function handle(p: Process, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const a = await respond(p, new URL(req.url ?? "/", "http://x")).catch((e: Error) => ({
    status: 500,
    type: "text/html",
    body: `Fatal error: Uncaught exception 'Predis\\Connection\\ConnectionException' with message '${escapeHtml(e.message)}'\n`,
  }));
  if (p.ended) return void res.destroy();
  res.writeHead(a.status, { "content-type": a.type, "content-length": String(Buffer.byteLength(a.body)), "x-powered-by": "PHP/7.4" });
  res.end(a.body);
  accessLog(p, req, a.status, Buffer.byteLength(a.body), true);
}

async function frontendMain(p: Process): Promise<number> {
  p.net.serveHttp(p, { port: 80 }, (req, res) => void handle(p, req, res));
  for (const s of [15, 28]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

export const gbFrontend: ImageSpec = {
  repositories: ["google-samples/containers/gke/gb-frontend", "google_samples/gb-frontend", "google-samples/gb-frontend", "gb-frontend"],
  tags: ["*"],
  cmd: ["apache2-foreground"],
  exposedPorts: [{ port: 80, protocol: "TCP" }],
  sizeBytes: 150_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: "/usr/local/bin/apache2-foreground", program: frontendMain },
  ],
};
