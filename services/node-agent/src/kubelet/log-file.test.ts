// Rotation: the log on disk never grows past its limits, and reading gives the lines in order over all files.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { systemClock } from "@podwire/base";
import { expect, it } from "vitest";
import { LogFile } from "./log-file.ts";
import { logFiles, readLog } from "./log-reader.ts";

it("rotates by size, keeps so many files, and reads them oldest first", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-log-"));
  try {
    const log = new LogFile(path.join(folder, "0.log"), systemClock, { maxBytes: 1000, maxFiles: 3 });
    for (let i = 0; i < 100; i++) {
      log.write("stdout", Buffer.from(`line ${i}\n`));
      log.flush();
    }
    log.close();
    const files = logFiles(log.file);
    expect(files.map((f) => path.basename(f))).toEqual(["0.log.2", "0.log.1", "0.log"]);
    for (const f of files) expect(fs.statSync(f).size).toBeLessThan(1100);
    let text = "";
    await readLog(
      log.file,
      undefined,
      { follow: false, timestamps: false },
      { closed: false, send: async (b) => void (text += Buffer.from(b).toString()) },
    );
    const lines = text.trimEnd().split("\n");
    const first = Number((lines[0] as string).slice(5));
    expect(lines).toEqual(Array.from({ length: 100 - first }, (_, i) => `line ${first + i}`));
    expect(first).toBeGreaterThan(20);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
