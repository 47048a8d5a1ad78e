import { describe, expect, test } from "vitest";
import { cidrContains, endpointIpErrors, isIp, parseCidr, parseIp } from "./addresses.ts";
import { cronError, parseCron } from "./cron.ts";
import { tagOfImage } from "./image.ts";
import { isDns1123Label, isQualifiedName } from "./names.ts";
import { canonicalDuration, canonicalMicroTime, canonicalTime, microTimeFromMs } from "./time.ts";

describe("times and durations", () => {
  test.each([
    ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"],
    ["2024-01-02T03:04:05.999+02:00", "2024-01-02T01:04:05Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"],
  ])("%s is %s", (text, want) => expect(canonicalTime(text)).toBe(want));

  test("refusals in Go's words", () => {
    expect(() => canonicalTime("yesterday")).toThrow(
      'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    );
    expect(() => canonicalTime("2024-02-30T00:00:00Z")).toThrow("day out of range");
    expect(canonicalMicroTime("2024-01-02T03:04:05Z")).toBe("2024-01-02T03:04:05.000000Z");
    expect(microTimeFromMs(1.5)).toBe("1970-01-01T00:00:00.001500Z");
    expect([canonicalDuration("90m"), canonicalDuration("1.5s"), canonicalDuration("0")]).toEqual(["1h30m0s", "1.5s", "0s"]);
  });
});

describe("cron", () => {
  test.each(["*/5 * * * *", "0 0 1 jan mon-fri", "@daily", "@every 1h30m", "0-10/2,30 * ? * *", "TZ=UTC 0 0 * * *"])("%s", (s) =>
    expect(cronError(s)).toBeUndefined(),
  );
  test.each([
    ["* * * *", "expected exactly 5 fields, found 4: [* * * *]"],
    ["60 * * * *", "end of range (60) above maximum (59): 60"],
    ["* * * * 7", "end of range (7) above maximum (6): 7"],
    ["5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"],
    ["*/0 * * * *", "step of range should be a positive number: */0"],
    ["x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ["@never", "unrecognized descriptor: @never"],
  ])("%s: %s", (s, why) => expect(cronError(s)).toBe(why));
  test("fields", () => expect([...parseCron("*/20 1-3 * * *").fields[0]!]).toEqual([0, 20, 40]));
});

describe("addresses, names, images", () => {
  test("addresses", () => {
    expect(["1.2.3.4", "::1", "2001:db8::ffff", "::ffff:1.2.3.4"].every(isIp)).toBe(true);
    expect(["1.2.3", "01.2.3.4", "1.2.3.256", ":::1", "1::2::3", "", "x"].some(isIp)).toBe(false);
    expect(parseIp("::ffff:1.2.3.4")).toEqual({ family: 4, value: 0x01020304n });
    expect(cidrContains(parseCidr("10.0.0.0/8")!, parseIp("10.255.0.1")!)).toBe(true);
    expect(parseCidr("10.0.0.0/33")).toBeUndefined();
    expect(endpointIpErrors("127.0.0.1")).toEqual(["may not be in the loopback range (127.0.0.0/8, ::1/128)"]);
  });

  test("names and images", () => {
    expect(isDns1123Label("a.b")).toHaveLength(1);
    expect(isQualifiedName("example.com/MyName")).toEqual([]);
    expect(isQualifiedName("/x")).toEqual(["prefix part must be non-empty"]);
    expect(["nginx", "nginx:1", "h:5000/a/b", `a@sha256:${"a".repeat(64)}`, "BAD name"].map(tagOfImage)).toEqual([
      "latest",
      "1",
      "latest",
      "",
      "",
    ]);
  });
});
