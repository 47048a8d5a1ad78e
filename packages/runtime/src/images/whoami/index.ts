// traefik/whoami and containous/whoami: tells of the request in plain text, on port 80 (--port, WHOAMI_PORT_NUMBER).
import type { Process } from "../../kernel/process.ts";
import type { ImageSpec } from "../image.ts";

async function whoamiMain(p: Process): Promise<number> {
  const at = p.argv.findIndex((a) => /^--?port/.test(a));
  const text = at < 0 ? p.env.get("WHOAMI_PORT_NUMBER") : ((p.argv[at] as string).split("=")[1] ?? p.argv[at + 1]);
  const facts = p.container.annex.get("pod") as { ip(): string } | undefined;
  p.net.serveHttp(p, { port: Number(text ?? 80) }, (req, res) => {
    if (req.url === "/health") return void res.end();
    let out = `Hostname: ${p.hostname}\nIP: 127.0.0.1\nIP: ${facts?.ip() ?? ""}\nRemoteAddr: ${req.socket.remoteAddress}:${req.socket.remotePort}\n${req.method} ${req.url} HTTP/${req.httpVersion}\n`;
    out += `Host: ${req.headers.host ?? ""}\n`;
    for (let i = 0; i < req.rawHeaders.length; i += 2)
      if (req.rawHeaders[i]?.toLowerCase() !== "host") out += `${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\n`;
    res.setHeader("Content-Type", "text/plain; charset=utf-8");
    res.end(`${out}\n`);
  });
  await p.print(`Starting up on port ${text ?? 80}\n`);
  p.onSignal(15, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

export const whoami: ImageSpec = {
  repositories: ["traefik/whoami", "containous/whoami"],
  tags: ["*"],
  entrypoint: ["/whoami"],
  exposedPorts: [{ port: 80, protocol: "TCP" }],
  sizeBytes: 2_900_000,
  files: [{ path: "/whoami", program: whoamiMain }],
};
