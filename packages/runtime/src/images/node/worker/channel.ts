// The thread's end of the conversation with its process: calls that wait, calls that do not, and messages by kind.
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { CallError, FromWorker, Reply, ToWorker, WorkerStart } from "../protocol.ts";

export const start = workerData as WorkerStart;
const parent = parentPort as NonNullable<typeof parentPort>;

export function send(m: FromWorker): void {
  parent.postMessage(m);
}

/** An Error as Node's own calls throw it: "ENOENT: no such file or directory, open 'x'". */
export function nodeError(e: CallError, syscall: string, path?: string): NodeJS.ErrnoException {
  const where = path === undefined ? "" : ` '${path}'`;
  const text = e.code.startsWith("E") && !e.message.includes(e.code) ? `${e.code}: ${e.message}, ${syscall}${where}` : e.message;
  return Object.assign(new Error(text), { code: e.code, errno: e.errno, syscall, ...(path === undefined ? {} : { path }) });
}

/** Stops this thread until the process has answered. Throws as Node does. */
export function ask(name: string, args: unknown[], syscall = name): any {
  Atomics.store(start.flag, 0, 0);
  send({ t: "ask", name, args });
  for (;;) {
    Atomics.wait(start.flag, 0, 0);
    const got = receiveMessageOnPort(start.port);
    if (got === undefined) {
      Atomics.store(start.flag, 0, 0);
      continue;
    }
    const reply = got.message as Reply;
    if ("error" in reply) throw nodeError(reply.error, syscall, typeof args[0] === "string" ? args[0] : undefined);
    return reply.value;
  }
}

const waiting = new Map<number, (r: Reply) => void>();
let nextCall = 1;

/** The same without stopping. While a call is under way the thread stays alive. */
export function call(name: string, args: unknown[], syscall = name): Promise<any> {
  const id = nextCall++;
  send({ t: "call", id, name, args });
  hold(1);
  return new Promise((resolve, reject) => {
    waiting.set(id, (r) => {
      hold(-1);
      if ("error" in r) reject(nodeError(r.error, syscall, typeof args[0] === "string" ? args[0] : undefined));
      else resolve(r.value);
    });
  });
}

type Handlers = { [T in ToWorker["t"]]?: (m: Extract<ToWorker, { t: T }>) => void };
const handlers: Handlers = {
  reply: (m) => {
    const f = waiting.get(m.id);
    waiting.delete(m.id);
    f?.(m.reply);
  },
};

export function on<T extends ToWorker["t"]>(t: T, f: (m: Extract<ToWorker, { t: T }>) => void): void {
  handlers[t] = f as never;
}

parent.on("message", (m: ToWorker) => (handlers[m.t] as ((m: ToWorker) => void) | undefined)?.(m));
parent.unref();

let holds = 0;
/** Listening servers, open sockets and calls keep the thread alive; nothing else of the channel does. */
export function hold(by: 1 | -1): void {
  holds += by;
  if (holds > 0) parent.ref();
  else parent.unref();
}
