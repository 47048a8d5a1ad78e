// The flags that agnhost's two webhook servers share: a port, and where the certificate and its key are.
import type { Process } from "../../kernel/process.ts";
import { type FlagSpec, type FlagValues, klogLine, sysText } from "./go.ts";

export const TLS_FLAGS: { [name: string]: FlagSpec } = {
  "tls-cert-file": { kind: "string", default: "" },
  "tls-private-key-file": { kind: "string", default: "" },
  port: { kind: "int", default: 443 },
};

/** klog.Fatal's exit code. */
const FATAL = 255;

/** klog.Fatal: the line, and the end. */
export async function klogFatal(p: Process, where: string, message: string): Promise<never> {
  await p.printError(klogLine(p, "F", where, message));
  return p.exit(FATAL);
}

/** tls.LoadX509KeyPair, or a fatal line. */
export async function tlsPair(p: Process, flags: FlagValues, where = "config.go:34"): Promise<{ cert: string; key: string }> {
  const read = async (flag: string) => {
    const path = flags[flag] as string;
    try {
      if (path === "") throw Object.assign(new Error(), { code: "ENOENT" });
      return p.fs.readText(path);
    } catch (e) {
      return klogFatal(p, where, `open ${path}: ${sysText(e)}`);
    }
  };
  return { cert: await read("tls-cert-file"), key: await read("tls-private-key-file") };
}
