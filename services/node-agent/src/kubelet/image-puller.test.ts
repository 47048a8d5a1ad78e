// Which images a node forgets: the longest unused first, never one in use, never one that was pulled just now.
import { ImageCatalogue } from "@podwire/runtime";
import { virtualClock } from "@podwire/testkit";
import { expect, it } from "vitest";
import { ImagePuller } from "./image-puller.ts";

it("collects unused images by age", async () => {
  const clock = virtualClock();
  const events = { event: () => undefined, flush: async () => undefined, counters: () => ({}) };
  const puller = new ImagePuller({ catalogue: new ImageCatalogue({ strict: true }), clock, events, pullMs: 0 });
  const pod = { metadata: { uid: "u", name: "p", namespace: "d" } } as never;
  for (const image of ["busybox:1.37", "nginx:1.14", "redis:7"]) {
    await puller.ensure(pod, { name: "c", image, imagePullPolicy: "IfNotPresent" }, "");
    clock.tick(60_000);
  }
  const names = () =>
    puller
      .images()
      .map((i) => i.names[1])
      .sort();
  expect(names()).toEqual(["busybox:1.37", "nginx:1.14", "redis:7"]);
  expect(puller.collect(new Set(["busybox:1.37"]), 1, clock.nowMs() - 90_000)).toBeGreaterThan(0);
  expect(names()).toEqual(["busybox:1.37", "redis:7"]);
  await puller.ensure(pod, { name: "c", image: "busybox:1.37", imagePullPolicy: "IfNotPresent" }, "");
  puller.expire(new Set(), clock.nowMs() - 30_000);
  expect(names()).toEqual(["busybox:1.37"]);
});
