// One machine's copy of a file system that several machines change: a log (journal.ts) says in which order the changes count, and those
// made here count here before they stand in it.
// Invariant: the copy is what the log gives as far as it was read, and then the changes of this machine that were not seen in it yet, in
// order. So when others' changes turn out to stand before them, these are undone, the others' applied, and these made again; where
// that gives something else (a file that was removed meanwhile), it gives the same on every machine.
import { FileInode, type FileSystem, type Inode, UndoLog } from "./inode.ts";
import { type LogPart, Replica, recordChanges } from "./journal.ts";

/** Changes that go into the log together. The session is of who sends them. */
export interface Batch {
  readonly number: number;
  session: number;
  readonly bytes: Uint8Array;
}

/** One call's change, or one record of it. */
interface Change {
  records: Buffer[];
  sizeBytes: number;
  undo: UndoLog;
}

export class SharedReplica {
  readonly fs: FileSystem;
  readonly #replica: Replica;
  #unsent: Change[] = [];
  #unsentBytes = 0;
  /** Handed out to be sent; not seen in the log yet. */
  #sent: { batch: Batch; undo: UndoLog } | undefined;
  #number = 0;
  /** Everything of this machine that is not in the log is undone at the moment. */
  #undone = false;
  /** Freed, and there again since everything was undone. */
  #revived: Inode[] = [];

  constructor(fs: FileSystem) {
    this.fs = fs;
    this.#replica = new Replica(fs, { continueNumbers: false });
  }

  /** Follows the changes that are made here, from now on. */
  record(onChange: () => void): void {
    this.fs.undo = new UndoLog();
    recordChanges(
      this.fs,
      (records) => {
        this.#add(records, this.fs.undo as UndoLog);
        this.fs.undo = new UndoLog();
        onChange();
      },
      this.#replica,
    );
  }

  stop(): void {
    this.fs.recorder = undefined;
    this.fs.undo = undefined;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }
  /** Changes that are not known to be in the log. */
  get pending(): boolean {
    return this.#sent !== undefined || this.#unsent.length > 0;
  }

  #add(records: Buffer[], undo: UndoLog): void {
    const sizeBytes = records.reduce((n, r) => n + r.length, 0);
    this.#unsent.push({ records, sizeBytes, undo });
    this.#unsentBytes += sizeBytes;
  }

  /** What is to be sent: the same again until it was seen in the log. */
  nextBatch(maxBytes: number): Batch | undefined {
    const first = this.#unsent[0];
    if (this.#sent || !first) return this.#sent?.batch;
    if (first.sizeBytes > maxBytes) this.#cut();
    const records: Buffer[] = [];
    const undos: UndoLog[] = [];
    let size = 0;
    let count = 0;
    for (const c of this.#unsent) {
      if (size > 0 && size + c.sizeBytes > maxBytes) break;
      records.push(...c.records);
      undos.push(c.undo);
      size += c.sizeBytes;
      count++;
    }
    this.#unsent.splice(0, count);
    this.#unsentBytes -= size;
    this.#sent = { batch: { number: ++this.#number, session: 0, bytes: Buffer.concat(records) }, undo: UndoLog.of(undos) };
    return this.#sent.batch;
  }

  /** One change is too large to be sent at once: its records become changes. */
  #cut(): void {
    this.#rollBack();
    const records = this.#unsent.flatMap((c) => c.records);
    this.#unsent = [];
    this.#unsentBytes = 0;
    for (const r of records) this.#add([r], new UndoLog());
    this.#makeAgain();
  }

  /** The batch stands in the log where reading has come to. */
  confirm(batch: Batch): void {
    if (this.#sent?.batch === batch) this.#sent = undefined;
    this.#forgetSteps();
  }

  /** Goes on reading the log. */
  read(parts: readonly LogPart[]): void {
    for (const p of parts) {
      const sent = this.#sent;
      const own = sent && p.mark && sent.batch.session === p.mark.session && sent.batch.number === p.mark.batch;
      if (own) {
        this.#sent = undefined;
        if (this.#undone) this.#replica.apply(p.records);
      } else {
        this.#rollBack();
        this.#replica.apply(p.records);
      }
    }
    this.#makeAgain();
    this.#forgetSteps();
  }

  /** The log was written anew: it is read from its start. */
  beginAgain(): void {
    this.#rollBack();
    this.#replica.beginAgain();
    this.#makeAgain();
  }

  /** What was read began with a snapshot: what it does not name is gone. */
  sweep(): void {
    this.#rollBack();
    this.#replica.sweep();
    this.#makeAgain();
  }

  /** Without a change that may be undone, what happened since needs no way back. */
  #forgetSteps(): void {
    if (!this.pending && this.fs.undo && this.fs.undo.length > 0) this.fs.undo = new UndoLog();
  }

  #rollBack(): void {
    if (this.#undone) return;
    this.#undone = true;
    const { fs } = this;
    const { recorder, undo } = fs;
    fs.recorder = fs.undo = undefined;
    fs.unlimited = true;
    for (const u of [undo, ...this.#unsent.map((c) => c.undo).reverse(), this.#sent?.undo]) u?.run(this.#revived);
    fs.recorder = recorder;
    fs.unlimited = false;
  }

  #makeAgain(): void {
    if (!this.#undone) return;
    this.#undone = false;
    const { fs } = this;
    const again = (change: { undo: UndoLog }, records: readonly Uint8Array[]) => {
      change.undo = fs.undo = new UndoLog();
      for (const r of records) this.#replica.apply(r);
    };
    if (this.#sent) again(this.#sent, [this.#sent.batch.bytes]);
    for (const c of this.#unsent) again(c, c.records);
    this.#replica.settled();
    fs.undo = fs.recorder ? new UndoLog() : undefined;
    // Whose removal stands in the log, and who was closed since.
    for (const i of this.#revived) if (i.nlink <= 0 && !(i instanceof FileInode && i.opens > 0)) i.free();
    this.#revived = [];
  }
}
