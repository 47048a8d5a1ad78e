import type { KubeObject } from "@podwire/api";
import { expect, test } from "vitest";
import { type IpRange, parseIpRange } from "./ip-range.ts";
import { readyRanges } from "./service-ranges.ts";

const flags = [parseIpRange("10.96.0.0/12"), parseIpRange("fd00:10:96::/112")] as IpRange[];
const cidr = (name: string, cidrs: string[], more: object = {}, status?: string): KubeObject => ({
  metadata: { name, ...more },
  spec: { cidrs },
  ...(status ? { status: { conditions: [{ type: "Ready", status }] } } : {}),
});
const texts = (cidrs: KubeObject[], family: "IPv4" | "IPv6" = "IPv4") => readyRanges(cidrs, flags, family).map((r) => r.text);

test("the flags hold until their object exists, then objects decide", () => {
  expect(texts([])).toEqual(["10.96.0.0/12"]);
  expect(texts([cidr("more", ["10.7.0.0/24"])])).toEqual(["10.96.0.0/12", "10.7.0.0/24"]);
  expect(texts([cidr("kubernetes", ["10.96.0.0/12", "fd00:10:96::/112"])], "IPv6")).toEqual(["fd00:10:96::/112"]);
});

test("only ready ranges that are not going; no condition counts as ready", () => {
  const base = cidr("kubernetes", ["10.96.0.0/12"]);
  expect(texts([base, cidr("a", ["10.7.0.0/24"], {}, "False"), cidr("b", ["10.8.0.0/24"], {}, "True")])).toEqual([
    "10.96.0.0/12",
    "10.8.0.0/24",
  ]);
  expect(texts([base, cidr("a", ["10.7.0.0/24"], { deletionTimestamp: "2026-01-01T00:00:00Z" }, "True")])).toEqual(["10.96.0.0/12"]);
  // Of two objects with one range, one that is ready is enough.
  expect(texts([cidr("kubernetes", ["10.96.0.0/12"], {}, "False"), cidr("b", ["10.96.0.0/12"], {}, "True")])).toEqual(["10.96.0.0/12"]);
});
