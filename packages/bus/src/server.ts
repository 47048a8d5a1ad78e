// Where the nats-server comes from; no npm package ships it. In order: NATS_URL (the caller's own server),
// PODWIRE_NATS_SERVER (a binary), PATH, what an earlier run left in the cache folder, the pinned release (checked
// against its SHA-256), Debian's package unpacked into the cache folder without root. Invariant: a binary is used only
// when it runs and is new enough; a download is moved into place only once it is whole and checked.
import { createHash, randomBytes } from "node:crypto";
import { accessSync, constants, statSync } from "node:fs";
import { chmod, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Clock, PodwireError, reasonOf } from "@podwire/base";
import { execa } from "execa";

/** JetStream with RePublish, and consumers that survive what we do to them. Debian 12 has exactly this. */
export const MIN_VERSION = [2, 9, 10] as const;
/** `sync_interval: always` (the `durable` profile) exists from here on. */
export const DURABLE_VERSION = [2, 10, 0] as const;

/** The release that is fetched, with the SHA-256 of its archives as the project publishes them. */
export const PINNED = {
  version: "2.12.15",
  sha256: {
    "linux-amd64": "58ab8131f819263897e2fc38e503e1b755b63bcafeecc7d12582487df48ca15e",
    "linux-arm64": "b724db99fefbf8f5c808baa82819ee50350aee9734017e4a478f7e545cef3ab6",
    "linux-arm7": "72311fe4e14ce3ce22dc8e7ac02633e6f31a9bab4086c92a31fd040e59683c8a",
    "linux-386": "e20fd919512273ed8ee553f5076bd76b1fc5e78a3cf83eafed4e0b40582f9b87",
    "linux-s390x": "5db960be875da499f1354f41c0a7780303fb9644cf62d35022677e77b4178029",
    "linux-ppc64le": "56447e72ec0551fa27a4368388dee475e028d4d5de6d97a802d944c6f278cf1e",
  } as Readonly<Record<string, string>>,
} as const;

export interface NatsBinary {
  binary: string;
  from: "PODWIRE_NATS_SERVER" | "PATH" | "cache" | "release" | "debian";
}

export type Env = Readonly<Record<string, string | undefined>>;

export interface ObtainOptions {
  env: Env;
  /** Folder for what is downloaded; shared by clusters. */
  cacheDir: string;
  clock: Clock;
  /** Called before each step that takes time: "nats-server 2.12.15 (release)". */
  onProgress?: (step: string) => void;
  /** For the release to begin to arrive. Default 4_000. */
  connectTimeoutMs?: number;
  platform?: string;
  arch?: string;
}

/** No nats-server, and none can be had. `tried` says why, step by step. */
export class NatsServerMissingError extends PodwireError {
  readonly tried: readonly string[];
  constructor(tried: readonly string[], next: string) {
    super(`no nats-server was found and none could be obtained: ${tried.join("; ")}`, { next });
    this.tried = tried;
  }
}

/** Checks in [major, minor, patch]. */
export function versionAtLeast(version: readonly number[], wanted: readonly number[]): boolean {
  for (let i = 0; i < wanted.length; i++) {
    const d = (version[i] ?? 0) - (wanted[i] as number);
    if (d !== 0) return d > 0;
  }
  return true;
}

/** "nats-server: v2.9.10" or "2.12.1" to [2, 9, 10]; undefined when there is no version in it. */
export function parseVersion(text: string): number[] | undefined {
  const m = /\bv?(\d+)\.(\d+)\.(\d+)/.exec(text);
  return m ? [Number(m[1]), Number(m[2]), Number(m[3])] : undefined;
}

/** Looks on this machine only, without running anything: environment, PATH, cache. */
export function findNatsServer(env: Env, cacheDir?: string): NatsBinary | undefined {
  const own = env.PODWIRE_NATS_SERVER;
  if (own) return executable(own) ? { binary: own, from: "PODWIRE_NATS_SERVER" } : undefined;
  for (const dir of (env.PATH ?? "").split(delimiter)) {
    if (dir === "") continue;
    const binary = join(dir, "nats-server");
    if (executable(binary)) return { binary, from: "PATH" };
  }
  if (cacheDir !== undefined && executable(join(cacheDir, "nats-server"))) return { binary: join(cacheDir, "nats-server"), from: "cache" };
  return undefined;
}

/** The version of a binary; throws PodwireError when it does not run or is too old. */
export async function checkNatsServer(binary: string): Promise<number[]> {
  const r = await execa(binary, ["--version"], { reject: false, timeout: 10_000 });
  const version = r.failed ? undefined : parseVersion(r.stdout);
  if (!version) throw new PodwireError(`${binary} does not run as a nats-server`, { cause: r.failed ? r : undefined });
  if (!versionAtLeast(version, MIN_VERSION))
    throw new PodwireError(`${binary} is ${version.join(".")}; Podwire needs ${MIN_VERSION.join(".")} or newer`);
  return version;
}

/** The caller's server by URL, or a binary to start. Throws NatsServerMissingError with the exact command to try. */
export async function obtainNatsServer(o: ObtainOptions): Promise<{ url: string } | (NatsBinary & { version: number[] })> {
  if (o.env.NATS_URL) return { url: o.env.NATS_URL };
  const tried: string[] = [];
  const found = findNatsServer(o.env, o.cacheDir);
  if (found) {
    try {
      return { ...found, version: await checkNatsServer(found.binary) };
    } catch (e) {
      if (found.from === "PODWIRE_NATS_SERVER") throw e;
      tried.push(reasonOf(e));
    }
  } else if (o.env.PODWIRE_NATS_SERVER) {
    throw new NatsServerMissingError(
      [`PODWIRE_NATS_SERVER=${o.env.PODWIRE_NATS_SERVER} is not an executable file`],
      "unset PODWIRE_NATS_SERVER",
    );
  } else tried.push("none on PATH");

  await mkdir(o.cacheDir, { recursive: true });
  for (const [from, step] of [
    ["release", fromRelease],
    ["debian", fromDebian],
  ] as const) {
    const work = join(o.cacheDir, `.obtain-${randomBytes(6).toString("hex")}`);
    try {
      await mkdir(work);
      const fetched = await step(o, work);
      await chmod(fetched, 0o755);
      const version = await checkNatsServer(fetched);
      const binary = join(o.cacheDir, "nats-server");
      await rename(fetched, binary);
      return { binary, from, version };
    } catch (e) {
      tried.push(`${from}: ${reasonOf(e).split("\n")[0]}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  throw new NatsServerMissingError(tried, nextStep(o.platform ?? process.platform));
}

function nextStep(platform: string): string {
  if (platform === "darwin") return "brew install nats-server";
  if (platform === "win32") return "winget install NATSAuthors.NATSServer";
  return "sudo apt-get install nats-server (or set NATS_URL=nats://host:4222, or PODWIRE_NATS_SERVER=/path/to/nats-server)";
}

async function fromRelease(o: ObtainOptions, work: string): Promise<string> {
  const arch = { x64: "amd64", arm64: "arm64", arm: "arm7", ia32: "386", s390x: "s390x", ppc64: "ppc64le" }[o.arch ?? process.arch];
  const target = `${o.platform ?? process.platform}-${arch}`;
  const sha256 = PINNED.sha256[target];
  if (sha256 === undefined) throw new PodwireError(`no release is pinned for ${target}`);
  o.onProgress?.(`nats-server ${PINNED.version} (release)`);
  const name = `nats-server-v${PINNED.version}-${target}`;
  const bytes = await download(o, `https://github.com/nats-io/nats-server/releases/download/v${PINNED.version}/${name}.tar.gz`);
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== sha256) throw new PodwireError(`the archive's SHA-256 is ${actual}, expected ${sha256}`);
  await writeFile(join(work, "release.tar.gz"), bytes);
  await execa("tar", ["-xzf", "release.tar.gz"], { cwd: work, timeout: 60_000 });
  return join(work, name, "nats-server");
}

/** No release is larger. */
const MAX_ARCHIVE_BYTES = 64 * 1024 * 1024;
/** The whole download, once it has begun. */
const DOWNLOAD_TIMEOUT_MS = 120_000;

async function download(o: ObtainOptions, url: string): Promise<Uint8Array> {
  const stop = new AbortController();
  const connectTimeoutMs = o.connectTimeoutMs ?? 4_000;
  let timer = o.clock.after(connectTimeoutMs, () => stop.abort(new PodwireError(`no answer within ${connectTimeoutMs} ms`)));
  try {
    const res = await fetch(url, { signal: stop.signal, redirect: "follow" });
    timer.cancel();
    timer = o.clock.after(DOWNLOAD_TIMEOUT_MS, () => stop.abort(new PodwireError(`not done within ${DOWNLOAD_TIMEOUT_MS} ms`)));
    if (!res.ok || !res.body) throw new PodwireError(`the server answered ${res.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of res.body) {
      size += chunk.length;
      if (size > MAX_ARCHIVE_BYTES) throw new PodwireError(`larger than ${MAX_ARCHIVE_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    timer.cancel();
  }
}

/** `apt-get download` and `dpkg-deb -x` need no root; when the lists are missing, they are fetched into a private folder. */
async function fromDebian(o: ObtainOptions, work: string): Promise<string> {
  if ((o.platform ?? process.platform) !== "linux") throw new PodwireError("not a Debian system");
  o.onProgress?.("nats-server (Debian's package)");
  const run = (file: string, args: string[]) => execa(file, args, { cwd: work, timeout: 120_000, env: { LC_ALL: "C" } });
  const apt = (...args: string[]) => run("apt-get", ["-q", ...args]);
  try {
    await apt("download", "nats-server");
  } catch {
    const lists = join(work, "lists");
    const cache = join(work, "cache");
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(cache, "archives", "partial"), { recursive: true });
    const own = ["-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${cache}`, "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="];
    await apt(...own, "update");
    await apt(...own, "download", "nats-server");
  }
  const deb = (await readdir(work)).find((f) => f.endsWith(".deb"));
  if (!deb) throw new PodwireError("apt-get downloaded nothing");
  await run("dpkg-deb", ["-x", deb, "root"]);
  for (const dir of ["usr/sbin", "usr/bin"]) {
    const binary = join(work, "root", dir, "nats-server");
    if (executable(binary)) return binary;
  }
  throw new PodwireError("the package holds no nats-server");
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
