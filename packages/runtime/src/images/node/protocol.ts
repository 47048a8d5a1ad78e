// What the thread that runs a user's JavaScript and the process that it stands for say to each other. The thread asks by name
// (`call`), waiting or not; streams are numbered, and each direction waits for the other's acknowledgement.
import type { MessagePort } from "node:worker_threads";
import type { Stat } from "../../vfs/mounts.ts";

/** What the thread is started with. */
export interface WorkerStart {
  argv: string[];
  env: { [name: string]: string };
  cwd: string;
  pid: number;
  ppid: number;
  uid: number;
  gid: number;
  hostname: string;
  addresses: string[];
  /** File to run, or text with `-e` and `-p`. */
  main: { file: string } | { text: string; print: boolean };
  /** Answers to calls that wait. */
  port: MessagePort;
  /** Raised by the process when such an answer is there. */
  flag: Int32Array;
}

export interface CallError {
  code: string;
  errno: number;
  message: string;
}

export type Reply = { value: unknown } | { error: CallError };

/** From the thread. */
export type FromWorker =
  | { t: "call"; id: number; name: string; args: unknown[] }
  | { t: "ask"; name: string; args: unknown[] }
  | { t: "out"; fd: number; bytes: Uint8Array }
  | { t: "exit"; code: number }
  | { t: "listen-signal"; signal: number; on: boolean }
  | { t: "stdin"; on: boolean }
  | { t: "write"; stream: number; bytes: Uint8Array }
  | { t: "taken"; stream: number }
  | { t: "end"; stream: number }
  | { t: "destroy"; stream: number };

/** To the thread. */
export type ToWorker =
  | { t: "reply"; id: number; reply: Reply }
  | { t: "signal"; signal: number; name: string }
  | { t: "stdin"; bytes: Uint8Array | undefined }
  | { t: "connection"; server: number; stream: number; local: Endpoint; remote: Endpoint }
  | { t: "data"; stream: number; bytes: Uint8Array }
  | { t: "written"; stream: number }
  | { t: "end"; stream: number }
  | { t: "closed"; stream: number; error?: CallError };

export interface Endpoint {
  address: string;
  port: number;
}

/** What the thread is told of a file. */
export type FileStat = Omit<Stat, "dev" | "rdev">;
