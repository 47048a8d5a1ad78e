import { describe, expect, test } from "vitest";
import { canonicalQuantity, parseQuantity, QuantityError } from "./quantity.ts";

describe("quantity", () => {
  test.each([
    ["0", "0"],
    ["0.5", "500m"],
    ["1000m", "1"],
    ["1500m", "1500m"],
    ["1024Ki", "1Mi"],
    ["1.5Gi", "1536Mi"],
    ["1000Mi", "1000Mi"],
    ["0.1Ki", "102400m"],
    ["1k", "1k"],
    ["1000", "1k"],
    ["1024", "1024"],
    ["1e3", "1e3"],
    ["100e0", "100"],
    ["12E", "9223372036854775807"],
    ["1n", "1n"],
    ["0.1n", "1n"],
    ["-0.5", "-500m"],
    ["+3", "3"],
    [".5", "500m"],
    ["5.", "5"],
  ])("%s is %s", (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical));

  test.each(["", "abc", "1x", "1.2.3", "1 Gi", "--1", "Ki"])("%j is refused", (text) =>
    expect(() => parseQuantity(text)).toThrow(QuantityError),
  );

  test("arithmetic keeps the format", () => {
    expect(parseQuantity("1Gi").add(parseQuantity("512Mi")).toString()).toBe("1536Mi");
    expect(parseQuantity("1").sub(parseQuantity("250m")).toString()).toBe("750m");
    expect(parseQuantity("1").cmp(parseQuantity("1000m"))).toBe(0);
    expect(parseQuantity("1100m").value()).toBe(2n);
    expect(parseQuantity("100u").milli()).toBe(1n);
  });
});
