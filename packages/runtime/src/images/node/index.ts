// node: runs a user's JavaScript in a thread whose net, http, fetch, fs and process are the pod's; npm start and npm run beside it.
import type { Process } from "../../kernel/process.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import { NETWORK_TOOLS } from "../curl/index.ts";
import type { ImageSpec } from "../image.ts";
import { runThread } from "./host.ts";
import type { WorkerStart } from "./protocol.ts";

/** The version that runs: the node's own. */
const VERSION = process.version;

async function nodeMain(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  let at = 0;
  let main: WorkerStart["main"] | undefined;
  for (; at < args.length && (args[at] as string).startsWith("-") && args[at] !== "-"; at++) {
    const a = args[at] as string;
    if (a === "-v" || a === "--version") {
      await p.print(`${VERSION}\n`);
      return 0;
    }
    if (["-e", "--eval", "-p", "--print", "-pe"].includes(a)) {
      main = { text: args[++at] ?? "", print: a !== "-e" && a !== "--eval" };
      continue;
    }
    if (a === "-r" || a === "--require" || a === "--import") at++;
    else if (!TAKEN.test(a)) {
      await p.printError(`node: bad option: ${a}\n`);
      return 9;
    }
  }
  if (main === undefined) {
    const file = args[at++];
    main = file === undefined || file === "-" ? { text: await standardInput(p), print: false } : { file: absolute(p, file) };
  }
  const pod = p.container.annex.get("pod") as { ip?: () => string } | undefined;
  return runThread(p, {
    argv: ["/usr/local/bin/node", ...("file" in main ? [main.file] : []), ...args.slice(at)],
    env: Object.fromEntries(p.env),
    cwd: p.cwdPath,
    pid: p.pid,
    ppid: p.ppid,
    uid: p.identity.uid,
    gid: p.identity.gid,
    hostname: p.hostname,
    addresses: [pod?.ip?.() ?? []].flat(),
    main,
  });
}

/** Options that change nothing here. */
const TAKEN =
  /^--(enable|disable|no|trace|max|experimental|unhandled|inspect|stack|harmony|preserve|use|env-file|heap|title|throw|abort|expose|dns)/;

const absolute = (p: Process, path: string) => (path.startsWith("/") ? path : `${p.cwdPath === "/" ? "" : p.cwdPath}/${path}`);

/** Bytes of a program that is read from standard input. */
const MAX_PROGRAM_BYTES = 16 * 1024 * 1024;

async function standardInput(p: Process): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let b = await p.read(0); b.length > 0 && size < MAX_PROGRAM_BYTES; b = await p.read(0)) {
    parts.push(b);
    size += b.length;
  }
  return Buffer.concat(parts).toString("utf8");
}

/** `npm start` and `npm run <script>`; there is no registry to install from. */
async function npmMain(p: Process): Promise<number> {
  const [verb, ...rest] = p.argv.slice(1);
  const name = verb === "run" || verb === "run-script" ? rest.shift() : verb === "start" || verb === "test" ? verb : undefined;
  if (name === undefined) {
    await p.printError(`npm error: '${verb ?? ""}' is not built in Podwire's npm: start, test and run are\n`);
    return 1;
  }
  const file = `${p.cwdPath}/package.json`;
  if (!p.fs.exists(file)) {
    await p.printError(`npm error code ENOENT\nnpm error path ${file}\n`);
    return 254;
  }
  const { scripts = {} } = JSON.parse(p.fs.readText(file)) as { scripts?: { [name: string]: string } };
  const script = scripts[name] ?? (name === "start" && p.fs.exists(`${p.cwdPath}/server.js`) ? "node server.js" : undefined);
  if (script === undefined) {
    await p.printError(`npm error Missing script: "${name}"\n`);
    return 1;
  }
  await p.print(`\n> ${name}\n> ${script}\n\n`);
  const words = rest[0] === "--" ? rest.slice(1) : rest;
  const shell = p.container.resolveProgram(p, "/bin/sh");
  p.argv = ["sh", "-c", [script, ...words.map((w) => `'${w.replaceAll("'", "'\\''")}'`)].join(" ")];
  return shell.program(p);
}

export const node: ImageSpec = {
  repositories: ["node", "library/node"],
  tags: ["*"],
  entrypoint: ["docker-entrypoint.sh"],
  cmd: ["node"],
  env: { NODE_VERSION: VERSION.slice(1) },
  sizeBytes: 160_000_000,
  files: [
    ...busyboxFiles(true),
    ...NETWORK_TOOLS,
    { path: "/etc/passwd", content: `${PASSWD}node:x:1000:1000::/home/node:/bin/sh\n` },
    { path: "/etc/group", content: `${GROUP}node:x:1000:\n` },
    { path: "/home/node", dir: true, uid: 1000, gid: 1000 },
    { path: "/usr/local/bin/node", program: nodeMain },
    { path: "/usr/local/bin/npm", program: npmMain },
    {
      path: "/usr/local/bin/docker-entrypoint.sh",
      mode: 0o755,
      content: '#!/bin/sh\ncase "$1" in -*|"") set -- node "$@";; *) command -v "$1" >/dev/null || set -- node "$@";; esac\nexec "$@"\n',
    },
  ],
};
