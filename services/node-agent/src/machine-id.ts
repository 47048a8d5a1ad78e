// /etc/machine-id of the simulated machine: made once, kept on the node's disk.
import fs from "node:fs";
import path from "node:path";
import type { Random } from "@podwire/base";

export function readMachineId(file: string, random: Random): string {
  if (fs.existsSync(file)) {
    const text = fs.readFileSync(file, "utf8").trim();
    if (/^[0-9a-f-]{36}$/.test(text)) return text;
  }
  const id = random.uuid();
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${id}\n`);
  return id;
}
