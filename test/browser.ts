// A real browser for a test: headless Chromium by its own debugging protocol (https://chromedevtools.github.io/devtools-protocol).
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, missing } from "./cluster.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** The program, or undefined when none is on PATH. */
export const chromium = NAMES.find((name) => missing(name) === undefined);

export interface Page {
  /** Runs JavaScript in the page and returns its value. Throws what it threw. */
  evaluate<T>(expression: string): Promise<T>;
  close(): Promise<void>;
}

export async function openPage(url: string): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), "pw-browser-"));
  const args = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    `--user-data-dir=${profile}`,
    "about:blank",
  ];
  const browser: ChildProcess = spawn(chromium as string, args, { stdio: ["ignore", "ignore", "pipe"], detached: true });
  let said = "";
  browser.stderr?.on("data", (d) => (said += d));
  const end = async () => {
    try {
      process.kill(-(browser.pid as number), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await eventually("the browser has ended", () => (browser.exitCode !== null || browser.signalCode !== null ? true : undefined));
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const port = await eventually("the browser listens", () => /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1], 60_000);
    const created = await fetch(`http://127.0.0.1:${port}/json/new?${encodeURIComponent(url)}`, { method: "PUT" });
    const { webSocketDebuggerUrl } = (await created.json()) as { webSocketDebuggerUrl: string };
    const socket = new WebSocket(webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    let id = 0;
    const waiting = new Map<number, (answer: any) => void>();
    socket.addEventListener("message", (m) => {
      const answer = JSON.parse(String(m.data));
      waiting.get(answer.id)?.(answer);
      waiting.delete(answer.id);
    });
    return {
      async evaluate(expression) {
        const mine = ++id;
        const answer: any = await new Promise((resolve) => {
          waiting.set(mine, resolve);
          socket.send(
            JSON.stringify({ id: mine, method: "Runtime.evaluate", params: { expression, returnByValue: true, awaitPromise: true } }),
          );
        });
        if (answer.result?.exceptionDetails) throw new Error(answer.result.exceptionDetails.exception?.description ?? "the page threw");
        return answer.result.result.value;
      },
      async close() {
        socket.close();
        await end();
      },
    };
  } catch (e) {
    await end();
    throw new Error(`no page: ${said.slice(-500)}`, { cause: e });
  }
}
