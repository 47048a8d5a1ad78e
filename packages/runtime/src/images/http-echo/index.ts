// hashicorp/http-echo: answers every request with the text of -text on -listen (:5678).
import type { Process } from "../../kernel/process.ts";
import type { ImageSpec } from "../image.ts";

async function httpEchoMain(p: Process): Promise<number> {
  const value = (name: string) => {
    const at = p.argv.findIndex((a) => a.replace(/^--?/, "").split("=")[0] === name);
    return at < 0
      ? undefined
      : (p.argv[at] as string).includes("=")
        ? (p.argv[at] as string).slice((p.argv[at] as string).indexOf("=") + 1)
        : p.argv[at + 1];
  };
  const text = value("text") ?? p.env.get("ECHO_TEXT");
  if (text === undefined || text === "") {
    await p.printError("Missing -text option!\n");
    return 127;
  }
  const listen = value("listen") ?? ":5678";
  const status = Number(value("status-code") ?? 200);
  p.net.serveHttp(p, { port: Number(/:(\d+)$/.exec(listen)?.[1] ?? 5678) }, (req, res) => {
    res.setHeader("X-App-Name", "http-echo");
    res.setHeader("X-App-Version", "1.0.0");
    if (req.url === "/health") {
      res.setHeader("Content-Type", "application/json");
      return void res.end('{"status":"ok"}');
    }
    res.statusCode = status;
    res.end(`${text}\n`);
  });
  await p.print(`[INFO] server is listening on ${listen}\n`);
  for (const s of [15, 2]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

export const httpEcho: ImageSpec = {
  repositories: ["hashicorp/http-echo"],
  tags: ["*"],
  entrypoint: ["/http-echo"],
  user: "65532",
  exposedPorts: [{ port: 5678, protocol: "TCP" }],
  sizeBytes: 3_300_000,
  files: [{ path: "/http-echo", program: httpEchoMain }],
};
