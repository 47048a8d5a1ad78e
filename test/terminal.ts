// A real pseudo-terminal for a test: tmux holds it, types keys, resizes its window and shows what is on the screen.
// Invariant: `close` ends the program and the tmux server, which has a socket of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, run } from "./cluster.ts";

export interface Terminal {
  /** Literal text. */
  type(text: string): Promise<void>;
  /** tmux's names of keys: "Enter", "C-c", "Up", "BSpace". */
  keys(...names: string[]): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** What is on the screen, without the blanks at the ends. */
  screen(): Promise<string>;
  /** Waits until the screen matches; answers it. */
  see(what: string | RegExp): Promise<string>;
  close(): Promise<void>;
}

export async function openTerminal(
  command: readonly string[],
  o: { env?: Record<string, string>; columns?: number; rows?: number } = {},
): Promise<Terminal> {
  const dir = mkdtempSync(join(tmpdir(), "pw-tty-"));
  const tmux = async (...args: string[]) => {
    const r = await run("tmux", ["-S", join(dir, "s"), "-f", "/dev/null", ...args], {
      env: { TMUX: "", TERM: "xterm", ...o.env },
      timeoutMs: 20_000,
    });
    if (r.code !== 0) throw new Error(`tmux ${args.join(" ")}: ${r.stderr}`);
    return r.stdout;
  };
  const quoted = command.map((c) => `'${c.replaceAll("'", "'\\''")}'`).join(" ");
  await tmux(
    "new-session",
    "-d",
    "-s",
    "t",
    "-x",
    String(o.columns ?? 80),
    "-y",
    String(o.rows ?? 24),
    `${quoted}; echo "ended with $?"; sleep 1000`,
  );
  const screen = async () => (await tmux("capture-pane", "-p", "-t", "t")).replace(/[ \n]+$/, "");
  return {
    type: async (text) => void (await tmux("send-keys", "-t", "t", "-l", text)),
    keys: async (...names) => void (await tmux("send-keys", "-t", "t", ...names)),
    resize: async (columns, rows) => void (await tmux("resize-window", "-t", "t", "-x", String(columns), "-y", String(rows))),
    screen,
    async see(what) {
      let last = "";
      return eventually(`the screen shows ${what}`, async () => {
        last = await screen();
        return (typeof what === "string" ? last.includes(what) : what.test(last)) ? last : undefined;
      }).catch((e: unknown) => {
        throw new Error(`the screen does not show ${what}:\n${last}`, { cause: e });
      });
    },
    async close() {
      await tmux("kill-server").catch(() => undefined);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
