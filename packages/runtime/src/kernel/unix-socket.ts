// Unix domain sockets (unix(7)), stream type: a listener bound to a name of the file system, and connected pairs, each two pipes.
// Who can open the name can connect, so containers meet over a shared volume and pods do not.
// Invariant: a connected end's bytes arrive in order at its peer and nowhere else; the name outlives its listener, as on Linux.
import { Duplex } from "node:stream";
import { SocketInode } from "../vfs/inode.ts";
import { allow } from "../vfs/mounts.ts";
import { SysError } from "./errno.ts";
import { OpenFile, type Wake } from "./open-file.ts";
import { Pipe } from "./pipe.ts";
import type { Process } from "./process.ts";

export class UnixSocket extends OpenFile {
  readonly #in: Pipe;
  readonly #out: Pipe;
  #writeEnded = false;
  constructor(incoming: Pipe, outgoing: Pipe) {
    super({ read: true, write: true });
    this.#in = incoming;
    this.#out = outgoing;
    incoming.readers++;
    outgoing.writers++;
  }
  override get kind() {
    return "socket" as const;
  }
  override readNow(max: number): Uint8Array | undefined {
    return this.#in.readNow(max);
  }
  override onReadable(wake: Wake): () => void {
    return this.#in.readable.add(wake);
  }
  override writeNow(bytes: Uint8Array): number {
    if (this.#writeEnded) throw new SysError("EPIPE");
    return this.#out.writeNow(bytes);
  }
  override onWritable(wake: Wake): () => void {
    return this.#out.writable.add(wake);
  }
  /** shutdown(2) with SHUT_WR: the peer reads end of file. */
  endWriting(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#out.writers--;
    this.#out.readable.wakeAll();
  }
  protected override released(): void {
    this.endWriting();
    this.#in.readers--;
    this.#in.writable.wakeAll();
  }
}

/** socketpair(2). */
export function unixSocketPair(): [UnixSocket, UnixSocket] {
  const [a, b] = [new Pipe(), new Pipe()];
  return [new UnixSocket(a, b), new UnixSocket(b, a)];
}

export interface UnixListener {
  readonly path: string;
  close(): void;
}

/** bind(2) and listen(2). Throws EADDRINUSE when the name exists, and what making a file can throw. */
export function listenUnix(p: Process, path: string, onConnection: (s: UnixSocket) => void): UnixListener {
  p.check();
  let inode: SocketInode;
  try {
    inode = p.container.mounts.mknod(p.cwd, path, p.cred, "socket", 0o777 & ~p.umask) as SocketInode;
  } catch (e) {
    throw e instanceof SysError && e.code === "EEXIST" ? new SysError("EADDRINUSE", path) : e;
  }
  const accept = (s: UnixSocket) => onConnection(s);
  inode.listener = accept;
  const close = () => {
    if (inode.listener === accept) inode.listener = undefined;
  };
  p.onExit(close);
  return { path, close };
}

/** connect(2). Throws ENOENT, EACCES, ECONNREFUSED when nobody listens. The caller refs and unrefs what it gets. */
export function connectUnix(p: Process, path: string): UnixSocket {
  p.check();
  const { inode } = p.fs.resolve(path);
  if (!(inode instanceof SocketInode)) throw new SysError("ECONNREFUSED", path);
  allow(inode, 2, p.cred, path);
  const accept = inode.listener as ((s: UnixSocket) => void) | undefined;
  if (accept === undefined) throw new SysError("ECONNREFUSED", path);
  const [client, server] = unixSocketPair();
  accept(server);
  return client;
}

/** A Unix socket as a Node stream, for programs that are written over those. Destroying it closes the socket. */
export class UnixStream extends Duplex {
  readonly #file: UnixSocket;
  #waiting: (() => void) | undefined;
  constructor(owner: { onExit(cb: () => void): void }, file: UnixSocket) {
    super({ allowHalfOpen: true });
    this.#file = file.ref();
    owner.onExit(() => this.destroy());
  }
  override _read(): void {
    if (this.destroyed) return;
    const bytes = this.#file.readNow(65_536);
    if (bytes === undefined) {
      this.#waiting = this.#file.onReadable(() => {
        this.#waiting = undefined;
        this._read();
      });
      return;
    }
    this.push(bytes.length === 0 ? null : Buffer.from(bytes));
  }
  override _write(chunk: Buffer, _encoding: string, done: (e?: Error) => void): void {
    try {
      const n = this.#file.writeNow(chunk);
      if (n === chunk.length) {
        done();
        return;
      }
      this.#file.onWritable(() => this._write(chunk.subarray(n), _encoding, done));
    } catch (e) {
      done(e as Error);
    }
  }
  override _final(done: () => void): void {
    this.#file.endWriting();
    done();
  }
  override _destroy(e: Error | null, done: (e: Error | null) => void): void {
    this.#waiting?.();
    this.#file.unref();
    done(e);
  }
  // What programs call on sockets of the network; there is nothing to set.
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  readonly setTimeout = (): this => this;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
