import { printRule } from "@podwire/net";
import { expect, test } from "vitest";
import { planPortmap } from "./portmap-plugin.ts";

test("a mapping with a host address is reached by that address alone, in its own protocol", () => {
  const plan = planPortmap("c1", "default/web", "10.244.1.5", "10.244.1.0/24", [
    { hostPort: 54_323, containerPort: 8080, protocol: "TCP", hostIP: "172.30.1.3" },
    { hostPort: 54_323, containerPort: 8081, protocol: "UDP", hostIP: "0.0.0.0" },
  ]);
  expect(plan.chain).toMatch(/^CNI-DN-[0-9a-f]{21}$/);
  expect(plan.entries.map(printRule)).toEqual([
    `-d 172.30.1.3/32 -p tcp -m comment --comment "dnat name: \\"podwire\\" id: \\"c1\\" pod: \\"default/web\\"" -m tcp --dport 54323 -j ${plan.chain}`,
    `-p udp -m comment --comment "dnat name: \\"podwire\\" id: \\"c1\\" pod: \\"default/web\\"" -m udp --dport 54323 -j ${plan.chain}`,
  ]);
  expect(plan.rules.map(printRule)[2]).toBe("-d 172.30.1.3/32 -p tcp -m tcp --dport 54323 -j DNAT --to-destination 10.244.1.5:8080");
  expect(plan.rules.map(printRule)[5]).toBe("-p udp -m udp --dport 54323 -j DNAT --to-destination 10.244.1.5:8081");
});
