// The packet stack below a program, for those that look into it (ip, ss, tcpdump, /proc/net).
import { NetNamespace } from "@podwire/net";
import { ExitRequest, type Process } from "../kernel/process.ts";

/** The network namespace of a process; one that runs on another stack ends with a message. */
export async function namespaceOf(p: Process): Promise<NetNamespace> {
  if (p.net.stack instanceof NetNamespace) return p.net.stack;
  await p.printError(`${p.name}: this network cannot be looked into\n`);
  throw new ExitRequest(1);
}
