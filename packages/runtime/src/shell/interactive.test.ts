// The shell at a terminal: what is typed, what is shown, which job owns the terminal.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LonePod } from "../container/lone-pod.ts";
import type { Session } from "../container/session.ts";
import { LineEditor } from "./line-editor.ts";

let pod: LonePod;
let session: Session;
let shown = "";

beforeEach(async () => {
  pod = new LonePod();
  const c = pod.start("busybox", { command: ["sleep", "1000"] });
  session = c.execute(["sh"], { stdin: true, tty: true });
  shown = "";
  session.onOutput((_s, b) => {
    shown += Buffer.from(b).toString();
  });
  await see("/ # ");
});
afterEach(() => pod.stop());

async function see(text: string | RegExp): Promise<string> {
  for (let i = 0; i < 300; i++) {
    const m = typeof text === "string" ? (shown.includes(text) ? text : undefined) : text.exec(shown)?.[0];
    if (m !== undefined) {
      const got = shown;
      shown = shown.slice(shown.indexOf(m) + m.length);
      return got;
    }
    await new Promise((r) => setTimeout(r, 10));
  }
  throw new Error(`not shown: ${text}\nbut: ${JSON.stringify(shown)}`);
}

const type = (text: string) => session.write(Buffer.from(text));

describe("editing", () => {
  it("erases, moves, inserts, and recalls history", async () => {
    await type("echo hexlo wrld\x7f\x7f\x7forld\x01\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C\x1b[3~l\r");
    await see("\r\nhello world\r\n");
    await type("\x1b[A\x17again\r");
    await see("\r\nhello again\r\n");
    await type("\x1b[A\x1b[A\r");
    await see("\r\nhello world\r\n");
    await type("cat /etc/passw\t | head -1 | cut -d: -f1\r");
    await see("\r\nroot\r\n");
    await type("exit 4\r");
    expect(await session.wait()).toEqual({ code: 4, signal: 0 });
  });

  it("Ctrl-C gives the line up, Ctrl-D ends the shell", async () => {
    await type("echo not this\x03");
    await see("^C\r\n/ # ");
    await type("echo $?\r");
    await see("\r\n130\r\n");
    await type("\x04");
    expect(await session.wait()).toEqual({ code: 0, signal: 0 });
  });

  it("a long line wraps at the window's width", () => {
    const e = new LineEditor(() => ({ from: 0, names: [] }));
    e.columns = 10;
    expect(e.begin("$ ")).toBe("$ ");
    expect(e.feed(Buffer.from("12345678")).output).toBe("12345678\r\n");
    // The first character goes: everything is drawn anew from the row above.
    const { output } = e.feed(Buffer.from("\x01\x04"));
    expect(output).toContain("\x1b[J$ 2345678");
    expect(e.feed(Buffer.from("\r")).event).toEqual({ t: "line", text: "2345678" });
  });

  it("characters of several bytes are one", () => {
    const e = new LineEditor(() => ({ from: 0, names: [] }));
    e.begin("$ ");
    const bytes = Buffer.from("äö€😀");
    for (const b of bytes) e.feed(Uint8Array.of(b));
    expect(e.feed(Buffer.from("\x7f\x7f\r")).event).toEqual({ t: "line", text: "äö" });
  });
});

describe("jobs", () => {
  it("Ctrl-C ends the foreground job and the loop around it, not the shell", async () => {
    await type("while true; do sleep 1000; done\r");
    await see("done");
    await new Promise((r) => setTimeout(r, 50));
    await type("\x03");
    await see("/ # ");
    await type("echo $?\r");
    await see("\r\n130\r\n");
    await type("while :; do :; done\r");
    await new Promise((r) => setTimeout(r, 50));
    await type("\x03");
    await see(/\/ # $/);
    await type("sleep 1000 | cat\r");
    await new Promise((r) => setTimeout(r, 50));
    await type("\x03");
    await see(/\/ # $/);
  });

  it("Ctrl-Z stops a job; bg, jobs, fg and kill work on it", async () => {
    await type("sleep 0.4; echo after\r");
    await new Promise((r) => setTimeout(r, 50));
    await type("\x1a");
    await see(/\[1\]\+ {2}Stopped {20,}sleep 0\.4\r\n/);
    await see("after");
    await type("jobs\r");
    await see(/\[1\]\+ {2}Stopped +sleep 0\.4\r\n/);
    await type("bg; jobs\r");
    await see(/\[1\] sleep 0\.4\r\n\[1\]\+ {2}Running +sleep 0\.4\r\n/);
    await type("fg; echo back\r");
    await see("\r\nback\r\n");
    await type("sleep 500 &\r");
    await type("kill %1; wait; echo gone\r");
    await see("\r\ngone\r\n");
  });

  it("stty tells the window's size, and a change of it", async () => {
    session.resize(100, 30);
    await type("stty size\r");
    await see("\r\n30 100\r\n");
  });
});
