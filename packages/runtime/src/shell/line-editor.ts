// Line editing at a terminal as busybox's shell has it: inserting, erasing, moving, history with the arrows, completion of file names.
// A pure state machine: bytes in, bytes to show and what has happened out.
// Invariant: 0 <= cursor <= length of the line; what is on the screen is the prompt, the line, and the cursor at its place.

export type EditEvent =
  | { t: "line"; text: string }
  /** Ctrl-D on an empty line. */
  | { t: "end" }
  /** Ctrl-C. */
  | { t: "interrupt" };

/** Names that could complete a word, and where in the line the word begins. */
export type Complete = (line: string, cursor: number) => { from: number; names: string[] };

const HISTORY_MAX = 500;
const LINE_MAX = 16_384;
const ESC = "\x1b[";

export class LineEditor {
  readonly #history: string[] = [];
  readonly #complete: Complete;
  #prompt = "";
  #line: string[] = [];
  #cursor = 0;
  #at = 0;
  #kept = "";
  #cut = "";
  /** Bytes of an escape sequence or of a character that is not whole yet. */
  #pending: number[] = [];
  columns = 80;
  /** Row of the cursor below the prompt's first, as the screen shows it. */
  #row = 0;
  #out = "";

  constructor(complete: Complete) {
    this.#complete = complete;
  }

  get history(): readonly string[] {
    return this.#history;
  }

  /** Begins a line; answers what to print. */
  begin(prompt: string): string {
    this.#prompt = prompt.replace(/^[\s\S]*\n/, "");
    this.#line = [];
    this.#cursor = 0;
    this.#row = 0;
    this.#at = this.#history.length;
    this.#kept = "";
    return prompt;
  }

  /** Takes typed bytes until a line is over; `rest` was not looked at. */
  feed(bytes: Uint8Array): { output: string; event?: EditEvent; rest: Uint8Array } {
    this.#out = "";
    for (let i = 0; i < bytes.length; i++) {
      const event = this.#byte(bytes[i] as number);
      if (event) return { output: this.#out, event, rest: bytes.subarray(i + 1) };
    }
    return { output: this.#out, rest: bytes.subarray(bytes.length) };
  }

  #byte(b: number): EditEvent | undefined {
    if (this.#pending.length > 0 || b === 27) return this.#sequence(b);
    if (b >= 0x80) return this.#utf8(b);
    switch (b) {
      case 1:
        return this.#move(0);
      case 2:
        return this.#move(this.#cursor - 1);
      case 3:
        this.#finish("^C\n");
        return { t: "interrupt" };
      case 4:
        if (this.#line.length > 0) return this.#erase(this.#cursor, this.#cursor + 1);
        return { t: "end" };
      case 5:
        return this.#move(this.#line.length);
      case 6:
        return this.#move(this.#cursor + 1);
      case 8:
      case 127:
        return this.#erase(this.#cursor - 1, this.#cursor);
      case 9:
        return this.#tab();
      case 10:
      case 13:
        return this.#enter();
      case 11:
        return this.#erase(this.#cursor, this.#line.length, true);
      case 12:
        this.#out += `${ESC}H${ESC}J`;
        this.#row = 0;
        return this.#redraw();
      case 14:
        return this.#recall(this.#at + 1);
      case 16:
        return this.#recall(this.#at - 1);
      case 21:
        return this.#erase(0, this.#cursor, true);
      case 23:
        return this.#erase(this.#wordStart(), this.#cursor, true);
      case 25:
        return this.#insert(this.#cut);
      default:
        return b >= 32 ? this.#insert(String.fromCharCode(b)) : undefined;
    }
  }

  #utf8(b: number): undefined {
    this.#pending = [b];
    return undefined;
  }

  #sequence(b: number): EditEvent | undefined {
    const first = this.#pending[0];
    if (first !== undefined && first >= 0x80) {
      this.#pending.push(b);
      const wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
      if (this.#pending.length < wanted) return undefined;
      const text = Buffer.from(this.#pending).toString("utf8");
      this.#pending = [];
      return this.#insert(text);
    }
    this.#pending.push(b);
    const text = String.fromCharCode(...this.#pending);
    if (text === "\x1b" || /^\x1b[[O][\d;]*$/.test(text)) return undefined;
    this.#pending = [];
    switch (text.replace(/^\x1b[[O]/, "")) {
      case "A":
        return this.#recall(this.#at - 1);
      case "B":
        return this.#recall(this.#at + 1);
      case "C":
        return this.#move(this.#cursor + 1);
      case "D":
        return this.#move(this.#cursor - 1);
      case "H":
      case "1~":
        return this.#move(0);
      case "F":
      case "4~":
        return this.#move(this.#line.length);
      case "3~":
        return this.#erase(this.#cursor, this.#cursor + 1);
      default:
        return undefined;
    }
  }

  #wordStart(): number {
    let at = this.#cursor;
    while (at > 0 && this.#line[at - 1] === " ") at--;
    while (at > 0 && this.#line[at - 1] !== " ") at--;
    return at;
  }

  #insert(text: string): undefined {
    const chars = [...text];
    if (this.#line.length + chars.length > LINE_MAX) return undefined;
    const atEnd = this.#cursor === this.#line.length;
    this.#line.splice(this.#cursor, 0, ...chars);
    this.#cursor += chars.length;
    if (!atEnd) return this.#redraw();
    this.#out += text;
    // At the last column the terminal's cursor waits: the next row is made for it.
    if (this.#width() % this.columns === 0) this.#out += "\r\n";
    this.#row = Math.floor(this.#width() / this.columns);
    return undefined;
  }

  #erase(from: number, to: number, keep = false): undefined {
    const [a, b] = [Math.max(0, from), Math.min(this.#line.length, to)];
    if (a >= b) return undefined;
    const gone = this.#line.splice(a, b - a);
    if (keep) this.#cut = gone.join("");
    this.#cursor = a;
    return this.#redraw();
  }

  #move(to: number): undefined {
    const at = Math.max(0, Math.min(this.#line.length, to));
    if (at === this.#cursor) return undefined;
    this.#cursor = at;
    this.#place();
    return undefined;
  }

  #enter(): EditEvent {
    const text = this.#line.join("");
    if (text.trim() !== "" && this.#history.at(-1) !== text) {
      this.#history.push(text);
      if (this.#history.length > HISTORY_MAX) this.#history.shift();
    }
    this.#finish("\n");
    return { t: "line", text };
  }

  #finish(with_: string): void {
    this.#cursor = this.#line.length;
    this.#place();
    this.#out += with_;
  }

  #recall(at: number): undefined {
    if (at < 0 || at > this.#history.length) return undefined;
    if (this.#at === this.#history.length) this.#kept = this.#line.join("");
    this.#at = at;
    this.#line = [...(this.#history[at] ?? this.#kept)];
    this.#cursor = this.#line.length;
    return this.#redraw();
  }

  #tab(): undefined {
    const { from, names } = this.#complete(this.#line.join(""), this.#cursor);
    if (names.length === 0) return undefined;
    let common = names[0] as string;
    for (const n of names) while (!n.startsWith(common)) common = common.slice(0, -1);
    const typed = this.#line.slice(from, this.#cursor).join("");
    const only = names.length === 1 && !common.endsWith("/") ? " " : "";
    if (common.length + only.length > typed.length) return this.#insert(common.slice(typed.length) + only);
    this.#cursor = this.#line.length;
    this.#place();
    this.#out += `\n${names.join("  ")}\n`;
    this.#row = 0;
    return this.#redraw();
  }

  /** Columns that the prompt takes; its escape sequences take none. */
  #promptWidth(): number {
    return [...this.#prompt.replace(/\x1b\[[\d;]*[A-Za-z]/g, "")].length;
  }
  #width(upTo = this.#line.length): number {
    return this.#promptWidth() + upTo;
  }

  #home(): void {
    if (this.#row > 0) this.#out += `${ESC}${this.#row}A`;
    this.#out += "\r";
    this.#row = 0;
  }

  #redraw(): undefined {
    this.#home();
    this.#out += `${ESC}J${this.#prompt}${this.#line.join("")}`;
    if (this.#line.length > 0 && this.#width() % this.columns === 0) this.#out += "\r\n";
    this.#row = Math.floor(this.#width() / this.columns);
    this.#place();
    return undefined;
  }

  /** Moves the terminal's cursor to the editor's. */
  #place(): void {
    const width = this.#width(this.#cursor);
    const row = Math.floor(width / this.columns);
    if (row < this.#row) this.#out += `${ESC}${this.#row - row}A`;
    else if (row > this.#row) this.#out += `${ESC}${row - this.#row}B`;
    this.#out += "\r";
    if (width % this.columns > 0) this.#out += `${ESC}${width % this.columns}C`;
    this.#row = row;
  }
}
