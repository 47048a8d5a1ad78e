// Real addresses to client addresses.
import { expect, it } from "vitest";
import { clientAddress } from "./clients.ts";

it("maps loopback one to one, others stably into the range", () => {
  expect(clientAddress("127.0.0.1")).toBe("203.0.113.1");
  expect(clientAddress("::ffff:127.0.0.9")).toBe("203.0.113.9");
  expect(clientAddress("127.0.0.250")).toBe("203.0.113.1");
  expect(clientAddress("192.0.2.8")).toBe(clientAddress("192.0.2.8"));
  for (const a of ["::1", "10.0.0.1", undefined, "fe80::1%eth0"]) {
    const last = Number(clientAddress(a).slice("203.0.113.".length));
    expect(last).toBeGreaterThanOrEqual(1);
    expect(last).toBeLessThanOrEqual(249);
  }
});
