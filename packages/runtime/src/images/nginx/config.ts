// nginx's configuration language and the directives that mean something here. Unknown directives are accepted where nginx knows them
// to be about performance or logs, and refused with nginx's message otherwise.
import { PodwireError } from "@podwire/base";

export class NginxConfigError extends PodwireError {}

export interface Directive {
  name: string;
  args: string[];
  block: Directive[] | undefined;
  line: number;
}

export interface Location {
  modifier: "" | "=" | "^~" | "~" | "~*";
  path: string;
  root: string | undefined;
  alias: string | undefined;
  index: string[];
  returns: { status: number; text: string } | undefined;
  proxyPass: string | undefined;
  headers: [string, string][];
  proxyHeaders: [string, string][];
  tryFiles: string[] | undefined;
  defaultType: string | undefined;
}

export interface Server {
  ports: number[];
  names: string[];
  isDefault: boolean;
  root: string;
  own: Location;
  locations: Location[];
}

export interface NginxConfig {
  servers: Server[];
  upstreams: Map<string, string[]>;
}

/** Parses text to directives. */
export function parseNginx(text: string, file: string): Directive[] {
  const tokens: { text: string; line: number }[] = [];
  let line = 1;
  for (let i = 0; i < text.length; ) {
    const c = text[i] as string;
    if (c === "\n") line++;
    if (/\s/.test(c)) i++;
    else if (c === "#") while (i < text.length && text[i] !== "\n") i++;
    else if ("{};".includes(c)) {
      tokens.push({ text: c, line });
      i++;
    } else if (c === '"' || c === "'") {
      let word = "";
      for (i++; i < text.length && text[i] !== c; i++) {
        if (text[i] === "\\" && (text[i + 1] === c || text[i + 1] === "\\")) i++;
        else if (text[i] === "\\" && text[i + 1] === "n") {
          word += "\n";
          i++;
          continue;
        }
        word += text[i];
      }
      i++;
      tokens.push({ text: `\0${word}`, line });
    } else {
      let word = "";
      while (i < text.length && !/[\s{};]/.test(text[i] as string)) {
        if (text[i] === "$" && text[i + 1] === "{") {
          const end = text.indexOf("}", i);
          word += text.slice(i, end + 1);
          i = end + 1;
          continue;
        }
        word += text[i++];
      }
      tokens.push({ text: word, line });
    }
  }
  let at = 0;
  const parse = (nested: boolean): Directive[] => {
    const out: Directive[] = [];
    for (;;) {
      const t = tokens[at];
      if (t === undefined) {
        if (nested) throw new NginxConfigError(`unexpected end of file, expecting "}" in ${file}:${line}`);
        return out;
      }
      at++;
      if (t.text === "}") {
        if (!nested) throw new NginxConfigError(`unexpected "}" in ${file}:${t.line}`);
        return out;
      }
      if (t.text === ";" || t.text === "{") throw new NginxConfigError(`unexpected "${t.text}" in ${file}:${t.line}`);
      const d: Directive = { name: t.text, args: [], block: undefined, line: t.line };
      for (;;) {
        const a = tokens[at++];
        if (a === undefined) throw new NginxConfigError(`unexpected end of file, expecting ";" or "}" in ${file}:${line}`);
        if (a.text === ";") break;
        if (a.text === "}") throw new NginxConfigError(`unexpected "}" in ${file}:${a.line}`);
        if (a.text === "{") {
          d.block = parse(true);
          break;
        }
        d.args.push(a.text.replace(/^\0/, ""));
      }
      out.push(d);
    }
  };
  return parse(false);
}

const IGNORED =
  /^(user|pid|worker_.*|events|error_log|access_log|log_format|include|sendfile|tcp_.*|keepalive_.*|types.*|gzip.*|client_.*|server_tokens|ssl_.*|proxy_(?:http_version|read_timeout|connect_timeout|send_timeout|buffer.*|redirect|cache.*|next_upstream.*)|charset|expires|autoindex|resolver.*|error_page|load_module|daemon|limit_.*|allow|deny|internal|rewrite|set|if|map|real_ip.*|set_real_ip.*|etag|open_file.*|send_timeout|reset_.*|large_.*|multi_accept|use|stub_status|least_conn|ip_hash|keepalive|zone|absolute_redirect|port_in_redirect|server_name_in_redirect|merge_slashes|variables_.*|more_.*|sub_filter.*|auth_basic.*|root|index|default_type|add_header|try_files)$/;

const DEFAULT_ROOT = "/usr/share/nginx/html";

export function readConfig(top: readonly Directive[], include: (pattern: string) => Directive[], file: string): NginxConfig {
  const config: NginxConfig = { servers: [], upstreams: new Map() };
  const http = top.find((d) => d.name === "http");
  const expand = (list: readonly Directive[]): Directive[] =>
    list.flatMap((d) => (d.name === "include" ? expand(include(d.args[0] ?? "")) : [d]));
  for (const d of expand(http?.block ?? [])) {
    if (d.name === "server") config.servers.push(serverOf(expand(d.block ?? []), file));
    else if (d.name === "upstream")
      config.upstreams.set(
        d.args[0] ?? "",
        (d.block ?? []).filter((s) => s.name === "server").map((s) => s.args[0] ?? ""),
      );
    else if (!IGNORED.test(d.name)) throw new NginxConfigError(`unknown directive "${d.name}" in ${file}:${d.line}`);
  }
  return config;
}

function emptyLocation(): Location {
  return {
    modifier: "",
    path: "/",
    root: undefined,
    alias: undefined,
    index: ["index.html", "index.htm"],
    returns: undefined,
    proxyPass: undefined,
    headers: [],
    proxyHeaders: [],
    tryFiles: undefined,
    defaultType: undefined,
  };
}

function serverOf(list: readonly Directive[], file: string): Server {
  const s: Server = { ports: [], names: [], isDefault: false, root: DEFAULT_ROOT, own: emptyLocation(), locations: [] };
  for (const d of list) {
    if (d.name === "listen") {
      const m = /(?:^|:)(\d+)$/.exec(d.args[0] ?? "");
      if (m && !d.args.includes("ssl")) s.ports.push(Number(m[1]));
      if (d.args.includes("default_server")) s.isDefault = true;
    } else if (d.name === "server_name") s.names.push(...d.args);
    else if (d.name === "root") s.root = d.args[0] ?? DEFAULT_ROOT;
    else if (d.name === "location") s.locations.push(locationOf(d, file));
    else apply(s.own, d, file);
  }
  if (s.ports.length === 0) s.ports.push(80);
  return s;
}

function locationOf(d: Directive, file: string): Location {
  const l = emptyLocation();
  const [first = "/", second] = d.args;
  if (second !== undefined) {
    l.modifier = first as Location["modifier"];
    l.path = second;
  } else l.path = first;
  for (const x of d.block ?? []) apply(l, x, file);
  return l;
}

function apply(l: Location, d: Directive, file: string): void {
  switch (d.name) {
    case "root":
      l.root = d.args[0];
      return;
    case "alias":
      l.alias = d.args[0];
      return;
    case "index":
      l.index = d.args;
      return;
    case "return": {
      const code = Number(d.args[0]);
      l.returns = Number.isNaN(code) ? { status: 302, text: d.args[0] ?? "" } : { status: code, text: d.args[1] ?? "" };
      return;
    }
    case "proxy_pass":
      l.proxyPass = d.args[0];
      return;
    case "add_header":
      l.headers.push([d.args[0] ?? "", d.args[1] ?? ""]);
      return;
    case "proxy_set_header":
      l.proxyHeaders.push([d.args[0] ?? "", d.args[1] ?? ""]);
      return;
    case "try_files":
      l.tryFiles = d.args;
      return;
    case "default_type":
      l.defaultType = d.args[0];
      return;
    default:
      if (!IGNORED.test(d.name)) throw new NginxConfigError(`unknown directive "${d.name}" in ${file}:${d.line}`);
  }
}

/** The location that serves a path: exact, then longest ^~ prefix, then the first regular expression, then longest prefix. */
export function chooseLocation(s: Server, path: string): Location {
  const exact = s.locations.find((l) => l.modifier === "=" && l.path === path);
  if (exact) return exact;
  const prefix = s.locations
    .filter((l) => (l.modifier === "" || l.modifier === "^~") && path.startsWith(l.path))
    .sort((a, b) => b.path.length - a.path.length)[0];
  if (prefix?.modifier === "^~") return prefix;
  const regex = s.locations.find(
    (l) => (l.modifier === "~" || l.modifier === "~*") && new RegExp(l.path, l.modifier === "~*" ? "i" : "").test(path),
  );
  return regex ?? prefix ?? s.own;
}

export function chooseServer(servers: readonly Server[], port: number, host: string): Server | undefined {
  const here = servers.filter((s) => s.ports.includes(port));
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return (
    here.find((s) => s.names.includes(name)) ??
    here.find((s) => s.names.some((n) => n.startsWith("*.") && name.endsWith(n.slice(1)))) ??
    here.find((s) => s.names.some((n) => n.startsWith("~") && new RegExp(n.slice(1)).test(name))) ??
    here.find((s) => s.isDefault) ??
    here[0]
  );
}
