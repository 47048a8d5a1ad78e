// The watch cache of one resource: a snapshot in any order, changes after it, and lists that agree with what is live.
import { expect, it } from "vitest";
import { CachedObject } from "./cached-object.ts";
import { ResourceCache } from "./resource-cache.ts";

const pod = (name: string, revision: number) =>
  CachedObject.fromValue(
    { group: "", resource: "pods", namespace: "default", name },
    revision,
    new TextEncoder().encode(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"${name}","namespace":"default"}}`),
  );
const names = (c: ResourceCache) => c.slice({ limit: 0, revision: 0 }).objects.map((o) => o.key.name);

it("is in order after a snapshot that was not, also when no load was begun", () => {
  const cache = new ResourceCache();
  for (const [i, name] of ["c", "a", "d", "b"].entries()) cache.load(pod(name, i + 1));
  cache.endLoad(4);
  expect(names(cache)).toEqual(["a", "b", "c", "d"]);
  cache.apply(pod("a", 5), true);
  cache.apply(pod("bb", 6), false);
  cache.apply(pod("d", 7), true);
  expect(names(cache)).toEqual(["b", "bb", "c"]);
  expect(cache.size).toBe(3);
});

it("pages of an earlier revision show that state and count what follows, whatever was written since", () => {
  const cache = new ResourceCache();
  for (let i = 0; i < 10; i++) cache.load(pod(`p${i}`, i + 1));
  cache.endLoad(10);
  cache.apply(pod("p0a", 11), false); // came since
  cache.apply(pod("p7", 12), true); // went since
  cache.apply(pod("z", 13), false);
  const seen: string[] = [];
  const left: number[] = [];
  for (let after: string | undefined; ; ) {
    const page = cache.slice({ limit: 3, revision: 10, ...(after === undefined ? {} : { after }) });
    seen.push(...page.objects.map((o) => o.key.name));
    left.push(page.remaining);
    if (page.next === undefined) break;
    after = page.next;
  }
  expect(seen).toEqual(["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]);
  expect(left).toEqual([7, 4, 1, 0]);
});
