import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readScript, runScript } from "./packetdrill.ts";

/** A checkout of freebsd-net/tcp-testsuite; without it only the scripts of our own below run. */
const suite = process.env["PODWIRE_TCP_TESTSUITE"] ?? "";

const PASSIVE = `
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 listen(3, 1) = 0
+0.10 < S  0:0(0) win 32767 <mss 1460,sackOK>
+0.00 > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>
+0.10 < .  1:1(0) ack 1 win 32767
+0.00 accept(3, ..., ...) = 4
`;

describe("the interpreter", () => {
  test("times are relative or absolute", () => {
    const { lines, toleranceMs } = readScript("--tolerance_usecs=75000\n 1.5 a\n+0.25 b // c\n// d\n 3.00 e");
    expect(toleranceMs).toBe(75);
    expect(lines.map((l) => [l.atMs, l.text])).toEqual([
      [1500, "a"],
      [1750, "b"],
      [3000, "e"],
    ]);
  });

  test("a script of our own passes; the same with a wrong number fails and names the line", async () => {
    const script = `${PASSIVE}
+0.00 < F. 1:4(3) ack 1 win 32767
+0.00 >  . 1:1(0) ack 5 win 65533
+0.00 read(4, ..., 100) = 3
+0.00 close(4) = 0
+0.00 > F. 1:1(0) ack 5 win 65535
+0.10 <  . 5:5(0) ack 2 win 32767
`;
    expect(await runScript(script, {})).toBe("");
    expect(await runScript(script.replace("ack 5 win 65533", "ack 4 win 65533"), {})).toMatch(/^line 10:.*ack differ/);
  });

  test("data after the reader closed is answered by a reset", async () => {
    expect(
      await runScript(
        `${PASSIVE}+0.00 close(4) = 0\n+0.00 > F. 1:1(0) ack 1 win 65535\n+0.10 < . 1:9(8) ack 2 win 1000\n+0.00 > R. 2:2(0) ack 1 win 0\n`,
        {},
      ),
    ).toBe("");
  });
});

describe.skipIf(!existsSync(join(suite, "state-event-engine")))(
  "freebsd-net/tcp-testsuite state-event-engine (skipped without PODWIRE_TCP_TESTSUITE)",
  () => {
    test.each(["ipv4", "ipv6"])("nine of ten %s scripts pass", { timeout: 120_000 }, async (family) => {
      const failed: string[] = [];
      let total = 0;
      const root = join(suite, "state-event-engine");
      for (const file of readdirSync(root, { recursive: true, encoding: "utf8" }).sort()) {
        if (!file.endsWith(`-${family}.pkt`)) continue;
        total++;
        const verdict = await runScript(readFileSync(join(root, file), "utf8"), {});
        if (verdict !== "") failed.push(`${file}: ${verdict}`);
      }
      expect(total).toBeGreaterThan(0);
      expect(failed.length / total, failed.join("\n")).toBeLessThan(0.1);
    });
  },
);
