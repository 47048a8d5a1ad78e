// host (bind-utils): A, AAAA and MX of a name, or what -t asks; PTR of an address; through the resolver of the pod or a named server.
import type { Process } from "../kernel/process.ts";
import { candidateNames, type DnsAnswer } from "../net/resolver.ts";
import { reverseName } from "../net/reverse-name.ts";
import { dataText } from "./dig.ts";

const WORDS: { [type: string]: string } = {
  A: "has address",
  AAAA: "has IPv6 address",
  CNAME: "is an alias for",
  PTR: "domain name pointer",
  MX: "mail is handled by",
  NS: "name server",
  SRV: "has SRV record",
  TXT: "descriptive text",
  SOA: "has SOA record",
};

export async function host(p: Process): Promise<number> {
  let type: string | undefined;
  let waitMs = 5_000;
  let tcp = false;
  const names: string[] = [];
  const argv = p.argv.slice(1);
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    if (a === "-t") type = (argv[++i] ?? "").toUpperCase();
    else if (a === "-W") waitMs = Number(argv[++i]) * 1000;
    else if (a === "-T") tcp = true;
    else if (a.startsWith("-")) {
      await p.printError(`host: option ${a} is not supported here\nUsage: host [-T] [-t type] [-W time] name [server]\n`);
      return 1;
    } else names.push(a);
  }
  const [name, server] = names;
  if (name === undefined) {
    await p.printError("Usage: host [-T] [-t type] [-W time] name [server]\n");
    return 1;
  }
  const conf = p.net.resolvConf();
  let address = conf.nameservers[0] ?? "127.0.0.1";
  if (server !== undefined) {
    try {
      address = (await p.until(p.net.lookup(server)))[0] as string;
    } catch {
      p.check();
      await p.printError(`host: couldn't get address for '${server}': not found\n`);
      return 1;
    }
    await p.print(`Using domain server:\nName: ${server}\nAddress: ${address}#53\nAliases: \n\n`);
  }
  const reverse = reverseName(name);
  const candidates = reverse === undefined ? candidateNames(name, conf) : [reverse];
  const types = type !== undefined ? [type] : reverse === undefined ? ["A", "AAAA", "MX"] : ["PTR"];
  let rcode = "NXDOMAIN";
  for (const candidate of candidates) {
    const answers: DnsAnswer["answers"] = [];
    for (const t of types) {
      let a: DnsAnswer;
      try {
        a = await p.until(p.net.query(address, candidate, t, { timeoutMs: waitMs, tcp }));
      } catch {
        p.check();
        await p.print(";; connection timed out; no servers could be reached\n");
        return 1;
      }
      rcode = a.rcode;
      if (a.rcode !== "NOERROR") break;
      // The alias on the way to every type is told once.
      for (const r of a.answers)
        if (!answers.some((x) => x.type === r.type && x.name === r.name && dataText(x.type, x.data) === dataText(r.type, r.data)))
          answers.push(r);
    }
    if (rcode !== "NOERROR") continue;
    for (const r of answers)
      await p.print(
        `${r.name} ${WORDS[r.type] ?? `has ${r.type} record`} ${dataText(r.type, r.data)}\n`.replace(
          /(has (?:IPv6 )?address [^ ]*)\.\n$/,
          "$1\n",
        ),
      );
    if (answers.length === 0) await p.print(`${candidate} has no ${types[0]} record\n`);
    return 0;
  }
  await p.print(`Host ${name} not found: ${codeOf(rcode)}(${rcode})\n`);
  return 1;
}

const codeOf = (rcode: string) => ({ FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 })[rcode] ?? 0;
