// agnhost connect: one TCP or UDP attempt, and a word for how it failed.
import type { Process } from "../../kernel/process.ts";
import { DialError, resolve, udpExchange } from "./dial.ts";
import { checkArgs, parseFlags, sysText } from "./go.ts";

export async function connect(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    timeout: { kind: "duration", default: 0 },
    protocol: { kind: "string", default: "tcp" },
    "udp-data": { kind: "string", default: "" },
    "sctp-data": { kind: "string", default: "" },
  });
  checkArgs(args, 1, 1);
  const protocol = flags["protocol"] as string;
  const timeoutMs = flags["timeout"] as number;
  const fail = async (text: string) => {
    await p.printError(text);
    return 1;
  };
  if (protocol !== "tcp" && protocol !== "udp") return fail(`Unsupported protocol\n${protocol}`);
  const m = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(args[0] as string);
  if (!m) return fail(`UNKNOWN: address ${args[0]}: missing port in address\n`);
  try {
    const at = await resolve(p, protocol, m[1] ?? m[2] ?? "", m[3] as string);
    if (protocol === "udp") {
      await udpExchange(p, at, (flags["udp-data"] as string) || "hostname", timeoutMs || 10_000);
      return 0;
    }
    const s = await p.until(p.net.connect(p, { host: at.ip, port: at.port, ...(timeoutMs > 0 ? { timeoutMs } : {}) }));
    s.destroy();
    return 0;
  } catch (e) {
    if (p.ended) throw e;
    if (e instanceof DialError) {
      const kind = e.message.endsWith("i/o timeout")
        ? "TIMEOUT"
        : e.message.endsWith("read: connection refused") && e.message.startsWith("read udp")
          ? "REFUSED"
          : "DNS";
      return fail(`${kind}: ${e.message}\n`);
    }
    const text = sysText(e);
    if (text === "connection refused") return fail("REFUSED\n");
    if (text === "i/o timeout") return fail("TIMEOUT\n");
    return fail(`OTHER: dial tcp ${args[0]}: connect: ${text}\n`);
  }
}
