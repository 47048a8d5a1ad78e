// redis-cli: one command from its arguments, or one a line from standard input.

import { lines } from "../../applets/streams.ts";
import type { Process } from "../../kernel/process.ts";

export async function redisCli(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  let host = "127.0.0.1";
  let port = 6379;
  let password: string | undefined;
  while (args[0]?.startsWith("-")) {
    const a = args.shift();
    if (a === "-h") host = args.shift() ?? host;
    else if (a === "-p") port = Number(args.shift());
    else if (a === "-a") password = args.shift();
  }
  let socket: Awaited<ReturnType<typeof p.net.connect>>;
  try {
    socket = await p.until(p.net.connect(p, { host, port, timeoutMs: 5000 }));
  } catch {
    p.check();
    await p.printError(`Could not connect to Redis at ${host}:${port}: Connection refused\n`);
    return 1;
  }
  let buffer: Buffer = Buffer.alloc(0);
  let wake: () => void = () => undefined;
  socket.on("data", (d: Buffer) => {
    buffer = Buffer.concat([buffer, d]);
    wake();
  });
  socket.on("close", () => wake());
  const ask = async (words: string[]): Promise<string> => {
    socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("")}`);
    for (;;) {
      const r = render(buffer, 0);
      if (r) {
        buffer = buffer.subarray(r.end);
        return r.text;
      }
      if (socket.destroyed) return "(error) connection closed";
      await p.until(new Promise<void>((resolve) => (wake = resolve)));
    }
  };
  if (password !== undefined) await ask(["AUTH", password]);
  if (args.length > 0) await p.print(`${await ask(args)}\n`);
  else for await (const l of lines(p, 0)) if (l.text.trim() !== "") await p.print(`${await ask(l.text.trim().split(/\s+/))}\n`);
  socket.destroy();
  return 0;
}

/** An answer as redis-cli prints it when its output is no terminal; undefined when bytes are missing. */
function render(b: Buffer, at: number): { text: string; end: number } | undefined {
  const nl = b.indexOf("\r\n", at);
  if (nl < 0) return undefined;
  const head = b.toString("utf8", at + 1, nl);
  switch (String.fromCharCode(b[at] as number)) {
    case "$": {
      const n = Number(head);
      if (n < 0) return { text: "", end: nl + 2 };
      if (b.length < nl + 2 + n + 2) return undefined;
      return { text: b.toString("utf8", nl + 2, nl + 2 + n), end: nl + 2 + n + 2 };
    }
    case "*": {
      const parts: string[] = [];
      let end = nl + 2;
      for (let i = 0; i < Number(head); i++) {
        const r = render(b, end);
        if (!r) return undefined;
        parts.push(r.text);
        end = r.end;
      }
      return { text: parts.join("\n"), end };
    }
    default:
      return { text: head, end: nl + 2 };
  }
}
