// dig (bind-tools): asks name servers and prints what they answered; +short, +noall +answer, +search, +tcp, +notcp, -x, @server, -p.

import type { Process } from "../kernel/process.ts";
import { candidateNames, type DnsAnswer } from "../net/resolver.ts";
import { reverseName } from "../net/reverse-name.ts";

const TYPES = new Set(["A", "AAAA", "SRV", "PTR", "CNAME", "NS", "SOA", "TXT", "MX", "ANY", "HINFO", "CAA"]);

export async function dig(p: Process): Promise<number> {
  const conf = p.net.resolvConf();
  let server = conf.nameservers[0] ?? "127.0.0.1";
  let name: string | undefined;
  let type = "A";
  let port = 53;
  const plus = new Map<string, string>();
  const argv = p.argv.slice(1);
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    if (a.startsWith("+")) {
      const [k, v] = a.slice(1).split("=");
      const off = (k as string).startsWith("no");
      if (k === "noall") plus.set("all", "no");
      else plus.set(off ? (k as string).slice(2) : (k as string), off ? "no" : (v ?? "yes"));
      if (k === "noall") for (const s of ["answer", "question", "authority", "additional", "comments", "stats", "cmd"]) plus.set(s, "no");
    } else if (a.startsWith("@")) server = a.slice(1);
    else if (a === "-p") port = Number(argv[++i]);
    else if (a === "-t") type = (argv[++i] ?? "A").toUpperCase();
    else if (a === "-x") {
      const address = argv[++i] ?? "";
      name = `${reverseName(address) ?? `${address.split(".").reverse().join(".")}.in-addr.arpa`}.`;
      type = "PTR";
    } else if (a === "-4" || a === "-6" || a.toUpperCase() === "IN") continue;
    else if (TYPES.has(a.toUpperCase()) && name !== undefined) type = a.toUpperCase();
    else if (TYPES.has(a.toUpperCase()) && name === undefined && argv.length > i + 1 && !(argv[i + 1] as string).startsWith("+"))
      type = a.toUpperCase();
    else name = a;
  }
  const asked = name ?? ".";
  const names = plus.get("search") === "yes" ? candidateNames(asked, conf) : [asked.replace(/(.)\.$/, "$1")];
  let address = server;
  if (!/^[\d.]+$|:/.test(server)) address = ((await p.until(p.net.lookup(server).catch(() => [server])))[0] as string) ?? server;
  const tries = Number(plus.get("tries") ?? 3);
  const timeoutMs = Number(plus.get("time") ?? plus.get("timeout") ?? 5) * 1000;
  let answer: DnsAnswer | undefined;
  let question = names[0] as string;
  for (const n of names) {
    question = n;
    answer = undefined;
    for (let t = 0; t < tries && answer === undefined; t++) {
      try {
        answer = await p.until(
          p.net.query(address, n === "." ? "" : n, type, { timeoutMs, port, tcp: plus.get("tcp") === "yes" || plus.get("vc") === "yes" }),
        );
      } catch {
        p.check();
      }
    }
    if (answer === undefined || (answer.rcode === "NOERROR" && answer.answers.length > 0)) break;
  }
  if (answer === undefined) {
    await p.print(`;; communications error to ${address}#${port}: timed out\n;; no servers could be reached\n`);
    return 9;
  }
  if (plus.get("short") === "yes") {
    for (const r of answer.answers) await p.print(`${dataText(r.type, r.data)}\n`);
    return 0;
  }
  const on = (s: string) => plus.get(s) !== "no";
  let out = "";
  const rows = (list: DnsAnswer["answers"]) =>
    list
      .filter((r) => r.type !== "OPT")
      .map((r) => `${dotted(r.name)}\t\t${r.ttl ?? 0}\tIN\t${r.type}\t${dataText(r.type, r.data)}\n`)
      .join("");
  if (on("cmd")) out += `\n; <<>> DiG 9.18 <<>> ${p.argv.slice(1).join(" ")}\n;; global options: +cmd\n`;
  if (on("comments")) {
    const flags = [
      "qr",
      ...(answer.flags & 0x400 ? ["aa"] : []),
      ...(answer.flags & 0x200 ? ["tc"] : []),
      ...(answer.flags & 0x100 ? ["rd"] : []),
      ...(answer.flags & 0x80 ? ["ra"] : []),
    ];
    out += `;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: ${answer.rcode}, id: ${p.random.below(65536)}\n;; flags: ${flags.join(" ")}; QUERY: 1, ANSWER: ${answer.answers.length}, AUTHORITY: ${answer.authorities.length}, ADDITIONAL: ${answer.additionals.length}\n\n`;
  }
  if (on("question")) out += `${on("comments") ? ";; QUESTION SECTION:\n" : ""};${dotted(question)}\t\t\tIN\t${type}\n\n`;
  for (const [key, title, list] of [
    ["answer", "ANSWER", answer.answers],
    ["authority", "AUTHORITY", answer.authorities],
    ["additional", "ADDITIONAL", answer.additionals],
  ] as const) {
    const text = rows(list);
    if (on(key) && text !== "") out += `${on("comments") ? `;; ${title} SECTION:\n` : ""}${text}${on("comments") ? "\n" : ""}`;
  }
  if (on("stats"))
    out += `;; Query time: ${Math.round(answer.rttMs)} msec\n;; SERVER: ${address}#${port}(${server}) (${plus.get("tcp") === "yes" ? "TCP" : "UDP"})\n;; MSG SIZE  rcvd: ${answer.bytes}\n\n`;
  await p.print(out);
  return 0;
}

const dotted = (n: string) => (n === "." || n === "" ? "." : n.endsWith(".") ? n : `${n}.`);

export function dataText(type: string, data: unknown): string {
  const d = data as any;
  switch (type) {
    case "SRV":
      return `${d.priority} ${d.weight} ${d.port} ${dotted(d.target)}`;
    case "CNAME":
    case "PTR":
    case "NS":
      return dotted(d);
    case "MX":
      return `${d.preference} ${dotted(d.exchange)}`;
    case "SOA":
      return `${dotted(d.mname)} ${dotted(d.rname)} ${d.serial} ${d.refresh} ${d.retry} ${d.expire} ${d.minimum}`;
    case "TXT":
      return (Array.isArray(d) ? d : [d]).map((t: unknown) => `"${Buffer.isBuffer(t) ? t.toString() : t}"`).join(" ");
    default:
      return String(d);
  }
}
