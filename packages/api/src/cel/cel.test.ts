import { describe, expect, test } from "vitest";
import {
  CEL_DYN,
  CEL_INT,
  CEL_STRING,
  CelCompileError,
  CelCostError,
  CelRuntimeError,
  celListOf,
  compileCel,
  printCelType,
} from "./index.ts";

const run = (text: string, vars: Record<string, unknown> = {}) =>
  compileCel(text, Object.fromEntries(Object.keys(vars).map((k) => [k, CEL_DYN]))).run(vars).value;

describe("CEL", () => {
  test.each([
    ["1 + 2 * 3", 7n],
    ["-7 / 2", -3n],
    ["-7 % 2", -1n],
    ["1.5 + 2.0", 3.5],
    ["2u + 3u == 5u", true],
    ["'a' + \"b\"", "ab"],
    ["1 < 2 && 2.0 >= 2", true],
    ["1 == 1.0 || false", undefined],
    ["true ? 'x' : 'y'", "x"],
    ["[1, 2, 3].map(x, x * 2)", [2n, 4n, 6n]],
    ["[1, 2, 3].filter(x, x > 1).size()", 2n],
    ["[1, 2, 3].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x == 1)", true],
    ["{'a': 1}['a']", 1n],
    ["'b' in {'a': 1}", false],
    ["2 in [1, 2]", true],
    ["size('héllo')", 5n],
    ["'hello'.matches('^h.*o$')", true],
    ["'a,b,c'.split(',')", ["a", "b", "c"]],
    ["['a', 'b'].join('-')", "a-b"],
    ["'HeLLo'.lowerAscii()", "hello"],
    ["'hello'.substring(1, 3)", "el"],
    ["int('42') + 1", 43n],
    ["string(12)", "12"],
    ["type(1) == int", true],
    ["duration('1h30m') > duration('1h')", true],
    ["timestamp('2024-01-02T03:04:05Z').getFullYear()", 2024n],
    ["timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')", true],
    ["quantity('1Gi').isGreaterThan(quantity('500Mi'))", true],
    ["quantity('1').add(quantity('500m')) == quantity('1500m')", true],
    ["isQuantity('1x')", false],
    ["cidr('10.0.0.0/8').containsIP('10.1.2.3')", true],
    ["ip('::1').family()", 6n],
    ["url('https://a.io:80/p?q=1').getHost()", "a.io:80"],
    ["url('https://a.io:80/p?q=1').getQuery()", { q: ["1"] }],
    ["sets.contains([1, 2, 3], [2])", true],
    ["[3, 1, 2].max()", 3n],
    ["[1, 2, 3].sum()", 6n],
    ["optional.of(1).hasValue()", true],
    ["{'a': 1}[?'b'].orValue(5)", 5n],
    ["cel.bind(x, 2, x * x)", 4n],
    ["'%d %s'.format([1, 'x'])", "1 x"],
    ["format.dns1123Label().validate('OK').hasValue()", true],
    ["semver('1.2.3').isLessThan(semver('1.10.0'))", true],
    ["[1, 2].exists(i, v, v == 2 && i == 1)", true],
  ])("%s", (text, want) => {
    if (want === undefined) expect(() => run(text)).toThrow(CelCompileError);
    else expect(run(text)).toEqual(want);
  });

  test("objects, has(), errors absorbed by && and ||", () => {
    const object = { metadata: { name: "x" }, data: { a: "1" }, n: 3 };
    expect(run("has(object.data) && !('bad' in object.data)", { object })).toBe(true);
    expect(run("has(object.nope)", { object })).toBe(false);
    expect(run("object.n + 1 == 4", { object })).toBe(true);
    expect(run("object.nope.x == 1 || true", { object })).toBe(true);
    expect(run("object.?nope.?x.orValue('d')", { object })).toBe("d");
    expect(() => run("object.nope == 1", { object })).toThrow("no such key: nope");
    expect(() => run("1 / 0")).toThrow("division by zero");
    expect(() => run("9223372036854775807 + 1")).toThrow("integer overflow");
    expect(() => run("[1][5]")).toThrow(CelRuntimeError);
  });

  test.each([
    ["self.foo > 1", "ERROR: <input>:1:5: type 'string' does not support field selection\n | self.foo > 1\n | ....^"],
    [
      "self +",
      "ERROR: <input>:1:7: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self +\n | ......^",
    ],
    ["self.", "ERROR: <input>:1:6: Syntax error: no viable alternative at input '.'\n | self.\n | .....^"],
    ["variables.x", "ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.x\n | ^"],
    ["self + 1", "ERROR: <input>:1:6: found no matching overload for '_+_' applied to '(string, int)'\n | self + 1\n | .....^"],
    [
      "self.startsWith(1)",
      "ERROR: <input>:1:16: found no matching overload for 'startsWith' applied to 'string.(int)'\n | self.startsWith(1)\n | ...............^",
    ],
  ])("%s does not compile", (text, message) => {
    let error: unknown;
    try {
      compileCel(text, { self: CEL_STRING });
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(CelCompileError);
    expect((error as Error).message).toBe(message);
  });

  test("types of results", () => {
    expect(printCelType(compileCel("l.map(x, string(x))", { l: celListOf(CEL_INT) }).type)).toBe("list(string)");
    expect(printCelType(compileCel("1", {}).type)).toBe("int");
    expect(printCelType(compileCel("{'a': l}", { l: celListOf(CEL_INT) }).type)).toBe("map(string, list(int))");
  });

  test("cost is bounded, and regular expressions do not backtrack", () => {
    const list = Array.from({ length: 1000 }, (_, i) => i);
    expect(() => compileCel("l.all(x, l.all(y, l.all(z, x + y + z >= 0)))", { l: celListOf(CEL_INT) }).run({ l: list })).toThrow(
      CelCostError,
    );
    const started = performance.now();
    expect(run("s.matches('^(a+)+$')", { s: `${"a".repeat(5000)}!` })).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
    expect(() => compileCel("(".repeat(5000), {})).toThrow(CelCompileError);
    expect(() => compileCel("!".repeat(5000), {})).toThrow(CelCompileError);
  });
});

test("lists of doubles stay doubles", () => {
  expect(run("[1.0, 2.0].map(x, x + 0.5)")).toEqual([1.5, 2.5]);
  expect(run("[1.0, 2.0].sum()")).toBe(3);
  expect(run("([1.0] + [2.0])[0] + 1.5")).toBe(2.5);
});
