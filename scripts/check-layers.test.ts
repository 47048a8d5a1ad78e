// The checks of check-layers.ts on small sources, one broken rule at a time.
import { describe, expect, it } from "vitest";
import { checkSource, importsOf } from "./check-layers.ts";

const check = (path: string, text: string) => checkSource({ path, text: `// What it is.\n${text}` });

describe("check-layers", () => {
  it("accepts imports that point down, through the door", () => {
    expect(check("packages/store/src/a.ts", 'import { x } from "@podwire/bus";\nimport { y } from "./y.ts";')).toEqual([]);
  });

  it("refuses imports that point up, sideways or past the door", () => {
    expect(check("packages/net/src/a.ts", 'import { x } from "@podwire/store";')[0]).toContain(
      "(layer 1) may not import @podwire/store (layer 2)",
    );
    expect(check("packages/net/src/a.ts", 'import { x } from "@podwire/bus";')[0]).toContain("may not import");
    expect(check("packages/store/src/a.ts", 'import { x } from "@podwire/bus/src/nats.ts";')[0]).toContain("past the door");
    expect(check("packages/store/src/a.ts", 'import { x } from "../../bus/src/nats.ts";')[0]).toContain("leaves the package");
  });

  it("keeps testkit to tests", () => {
    expect(check("packages/store/src/a.ts", 'import { x } from "@podwire/testkit";')[0]).toContain("tests only");
    expect(check("packages/store/src/a.test.ts", 'import { x } from "@podwire/testkit";')).toEqual([]);
  });

  it("refuses the machine's clock and randomness outside base, not in comments, tests or base", () => {
    for (const bad of ["Date.now()", "setTimeout(f, 1)", "Math.random()", "new Date()", "performance.now()"]) {
      expect(check("packages/net/src/a.ts", `const a = ${bad};`), bad).toHaveLength(1);
      expect(check("packages/net/src/a.ts", `// ${bad}`), bad).toEqual([]);
      expect(check("packages/net/src/a.test.ts", `const a = ${bad};`), bad).toEqual([]);
      expect(check("packages/base/src/clock.ts", `const a = ${bad};`), bad).toEqual([]);
    }
    expect(check("packages/net/src/a.ts", "socket.setTimeout(5);")).toEqual([]);
    expect(check("packages/net/src/a.ts", "new Date(clock.nowMs());")).toEqual([]);
  });

  it("keeps process.env to config.ts and main.ts", () => {
    expect(check("services/edge/src/a.ts", "process.env.X")).toHaveLength(1);
    expect(check("services/edge/src/main.ts", "process.env.X")).toEqual([]);
  });

  it("wants a first comment and at most 600 lines", () => {
    expect(checkSource({ path: "packages/net/src/a.ts", text: "export {};\n" })[0]).toContain("first line");
    expect(check("packages/net/src/a.ts", "\n".repeat(700))[0]).toContain("limit 600");
    expect(check("packages/net/src/generated/a.ts", "\n".repeat(700))).toEqual([]);
  });

  it("finds imports over several lines, re-exports and dynamic ones", () => {
    const text = 'import {\n  a,\n} from "a";\nexport * from "b";\nimport "c";\nconst d = await import("d");\n';
    expect(importsOf(text)).toEqual([
      { specifier: "a", line: 3 },
      { specifier: "b", line: 4 },
      { specifier: "c", line: 5 },
      { specifier: "d", line: 6 },
    ]);
  });
});
