// agnhost mounttest: says of a path what its mount, mode, owner and content are; creates files with a given mode.
import type { Process } from "../../kernel/process.ts";
import { FS_MAGIC } from "../../vfs/inode.ts";
import { checkArgs, parseFlags, quote, sysText } from "./go.ts";

const CONTENT = "mount-tester new file\n";
const LOOP_MS = 2_000;

/** A check that failed has printed why; the exit code says it again. */
class Failed extends Error {}

export async function mounttest(p: Process, argv: readonly string[]): Promise<number> {
  const path = { kind: "string", default: "" } as const;
  const { flags, args } = parseFlags(argv, {
    "fs-type": path,
    "new-file-0644": path,
    "new-file-0666": path,
    "new-file-0660": path,
    "new-file-0777": path,
    "file-mode": path,
    "file-perm": path,
    "file-owner": path,
    "file-content": path,
    "file-content-in-loop": path,
    "retry-time": { kind: "int", default: 180 },
    "break-on-expected-content": { kind: "bool", default: true },
  });
  checkArgs(args, 0, 0);
  p.umask = 0;
  let failed = false;
  const check = async (flag: string, run: (path: string) => void | Promise<void>) => {
    const at = flags[flag] as string;
    if (at === "") return;
    try {
      await run(at);
    } catch (e) {
      if (!(e instanceof Failed)) throw e;
      failed = true;
    }
  };
  const fail = async (message: string): Promise<never> => {
    await p.print(`${message}\n`);
    throw new Failed(message);
  };
  await check("fs-type", async (at) => {
    if (!p.fs.tryStat(at)) await fail(`error from statfs(${quote(at)}): no such file or directory`);
    const type = p.fs.mountOf(at).root.fs.type;
    await p.print(`mount type of ${quote(at)}: ${type === "tmpfs" ? "tmpfs" : FS_MAGIC[type]}\n`);
  });
  for (const mode of ["0644", "0666", "0660", "0777"])
    await check(`new-file-${mode}`, async (at) => {
      try {
        p.fs.writeFile(at, CONTENT, { mode: Number.parseInt(mode, 8) });
      } catch (e) {
        await fail(`error writing new file ${quote(at)}: open ${at}: ${sysText(e)}`);
      }
      await content(p, at, fail);
    });
  const stat = async (at: string, call: string, prefix: string) =>
    p.fs.tryStat(at) ?? (await fail(`error from ${call}(${quote(at)}): ${prefix}no such file or directory`));
  await check("file-mode", async (at) => void p.print(`mode of file ${quote(at)}: ${goMode(await stat(at, "Lstat", `lstat ${at}: `))}\n`));
  await check(
    "file-perm",
    async (at) => void p.print(`perms of file ${quote(at)}: -${letters((await stat(at, "Stat", `stat ${at}: `)).mode)}\n`),
  );
  await check("file-owner", async (at) => {
    const s = await stat(at, "stat", "");
    await p.print(`owner UID of ${quote(at)}: ${s.uid}\nowner GID of ${quote(at)}: ${s.gid}\n`);
  });
  await check("file-content", (at) => content(p, at, fail));
  await check("file-content-in-loop", (at) =>
    loop(p, at, flags["retry-time"] as number, flags["break-on-expected-content"] as boolean, fail),
  );
  return failed ? 1 : 0;
}

async function content(p: Process, at: string, fail: (m: string) => Promise<never>): Promise<void> {
  let text = "";
  try {
    text = p.fs.readText(at);
  } catch (e) {
    const verb = (e as { code?: string }).code === "EISDIR" ? "read" : "open";
    await fail(`error reading file content for ${quote(at)}: ${verb} ${at}: ${sysText(e)}`);
  }
  await p.print(`content of file ${quote(at)}: ${text}\n`);
}

async function loop(p: Process, at: string, seconds: number, stopsAtExpected: boolean, fail: (m: string) => Promise<never>): Promise<void> {
  const endMs = p.clock.monotonicMs() + seconds * 1000;
  let read = false;
  while (p.clock.monotonicMs() < endMs) {
    try {
      const text = p.fs.readText(at);
      read = true;
      await p.print(`content of file ${quote(at)}: ${text}\n`);
      if (stopsAtExpected) {
        if (text === CONTENT) return;
        await p.print(`Unexpected content. Expected: ${CONTENT}. Retrying\n`);
      }
    } catch (e) {
      await p.print(`Error reading file ${at}: open ${at}: ${sysText(e)}, retrying\n`);
      read = false;
    }
    await p.sleep(LOOP_MS);
  }
  if (!read) throw new Failed(`never read ${at}`);
  void fail;
}

interface Mode {
  kind: string;
  mode: number;
}

/** os.FileMode.String. */
function goMode(s: Mode): string {
  const kind: { [kind: string]: string } = { dir: "d", symlink: "L", fifo: "p", socket: "S", char: "Dc", device: "Dc" };
  let head = kind[s.kind] ?? "";
  if (s.mode & 0o4000) head += "u";
  if (s.mode & 0o2000) head += "g";
  if (s.mode & 0o1000) head += "t";
  return `${head || "-"}${letters(s.mode)}`;
}

function letters(mode: number): string {
  return [..."rwxrwxrwx"].map((c, i) => (mode & (1 << (8 - i)) ? c : "-")).join("");
}
