// Allocation of virtual addresses: kept, asked for, lowest free, exhausted.
import type { Service } from "@podwire/api";
import { describe, expect, it } from "vitest";
import { addressFor, isVip } from "./addresses.ts";

const service = (name: string, ip?: string, spec: Partial<Service["spec"]> = {}): Service => ({
  metadata: { name, namespace: "default" },
  spec: { type: "LoadBalancer", ...spec },
  ...(ip ? { status: { loadBalancer: { ingress: [{ ip }] } } } : {}),
});

describe("addressFor", () => {
  it("takes the lowest free address", () => {
    const web = service("web");
    expect(addressFor(web, [service("a", "198.51.100.1"), web])).toBe("198.51.100.2");
  });

  it("keeps what the Service has", () => {
    const web = service("web", "198.51.100.9");
    expect(addressFor(web, [web])).toBe("198.51.100.9");
  });

  it("gives the second of two Services with one address another", () => {
    const late = service("late", "198.51.100.1");
    expect(addressFor(late, [service("early", "198.51.100.1"), late])).toBe("198.51.100.2");
  });

  it("honours loadBalancerIP when free", () => {
    const web = service("web", undefined, { loadBalancerIP: "198.51.100.77" });
    expect(addressFor(web, [web])).toBe("198.51.100.77");
    expect(addressFor(web, [service("a", "198.51.100.77"), web])).toBe("198.51.100.1");
  });

  it("does not count Services that gave their type up, and ends at 254", () => {
    const web = service("web");
    expect(addressFor(web, [service("a", "198.51.100.1", { type: "ClusterIP" }), web])).toBe("198.51.100.1");
    const full = Array.from({ length: 254 }, (_, i) => service(`s${i}`, `198.51.100.${i + 1}`));
    expect(addressFor(web, full)).toBeUndefined();
  });

  it("knows its own range", () => {
    expect(["198.51.100.1", "198.51.100.254", "198.51.100.0", "198.51.100.255", "198.51.101.1", "x"].map(isVip)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});
