// Where container logs lie on the node's disk: pods/<namespace>_<name>_<uid>/<container>/<restart>.log, as under /var/log/pods.
import fs from "node:fs";
import path from "node:path";
import type { Pod } from "@podwire/api";
import type { Clock } from "@podwire/base";
import { DEFAULT_LOG_LIMITS, LogFile, type LogLimits, parseCriLine } from "./log-file.ts";

export class LogStore {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #open = new Map<string, LogFile>();
  readonly #limits: LogLimits;
  constructor(folder: string, clock: Clock, limits: LogLimits = DEFAULT_LOG_LIMITS) {
    this.#limits = limits;
    this.#folder = folder;
    this.#clock = clock;
  }

  get folder(): string {
    return this.#folder;
  }

  /** Bytes of a container's logs, rotated ones too. */
  sizeOf(pod: Pod, container: string): number {
    const folder = path.join(this.folderOf(pod), container);
    let bytes = 0;
    try {
      for (const name of fs.readdirSync(folder)) bytes += fs.statSync(path.join(folder, name)).size;
    } catch {
      // Nothing was written yet, or it has just gone.
    }
    return bytes;
  }

  folderOf(pod: Pod): string {
    const m = pod.metadata!;
    return path.join(this.#folder, `${m.namespace}_${m.name}_${m.uid}`);
  }

  fileOf(pod: Pod, container: string, restart: number): string {
    return path.join(this.folderOf(pod), container, `${restart}.log`);
  }

  /** The log of a container that is about to start. Only the one before it is kept. */
  open(pod: Pod, container: string, restart: number): LogFile {
    const file = this.fileOf(pod, container, restart);
    if (restart >= 2) fs.rmSync(this.fileOf(pod, container, restart - 2), { force: true });
    const log = new LogFile(file, this.#clock, this.#limits);
    this.#open.set(file, log);
    return log;
  }

  /** The log that is being written, if it is. */
  live(file: string): LogFile | undefined {
    const l = this.#open.get(file);
    if (l?.closed) {
      this.#open.delete(file);
      return undefined;
    }
    return l;
  }

  remove(pod: Pod): void {
    const folder = this.folderOf(pod);
    for (const [file, l] of this.#open)
      if (file.startsWith(`${folder}${path.sep}`)) {
        l.close();
        this.#open.delete(file);
      }
    fs.rmSync(folder, { recursive: true, force: true });
  }

  /** Folders of pods that are not in `uids` go. */
  retain(uids: ReadonlySet<string>): void {
    if (!fs.existsSync(this.#folder)) return;
    for (const name of fs.readdirSync(this.#folder)) {
      const uid = name.slice(name.lastIndexOf("_") + 1);
      if (!uids.has(uid)) fs.rmSync(path.join(this.#folder, name), { recursive: true, force: true });
    }
  }

  /** The last lines of a log without their tags, for termination messages. */
  tail(file: string, lines: number, bytes: number): string {
    if (!fs.existsSync(file)) return "";
    const all = fs.readFileSync(file);
    const texts: string[] = [];
    for (const line of all.toString("latin1").split("\n")) {
      if (line === "") continue;
      const p = parseCriLine(Buffer.from(line, "latin1"));
      if (p) texts.push(p.content.toString("utf8") + (p.partial ? "" : "\n"));
    }
    const text = texts.slice(-lines).join("");
    return Buffer.from(text).subarray(-bytes).toString("utf8");
  }
}
