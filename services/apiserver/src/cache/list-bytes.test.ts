// Shared list bodies: the same bytes while nothing changes, the new state as soon as something did, and a bound on what is kept.
import { expect, it } from "vitest";
import { CachedObject } from "./cached-object.ts";
import { ListBytes } from "./list-bytes.ts";
import { ResourceCache } from "./resource-cache.ts";

const pod = (name: string, revision: number, bytes = 20_000) =>
  CachedObject.fromValue(
    { group: "", resource: "pods", namespace: "default", name },
    revision,
    Buffer.from(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"${name}"},"spec":"${"x".repeat(bytes)}"}`),
  );
const items = (c: ResourceCache) => () => Array.from(c.values(), (o) => o.members);

it("hands out one buffer until the resource changes", () => {
  const cache = new ResourceCache();
  const lists = new ListBytes();
  cache.apply(pod("a", 1), false);
  cache.apply(pod("b", 2), false);
  const first = lists.items("pods", cache, items(cache));
  expect(JSON.parse(`{"items":[${first}`).items.map((o: { metadata: { name: string } }) => o.metadata.name)).toEqual(["a", "b"]);
  expect(lists.items("pods", cache, items(cache))).toBe(first);
  cache.apply(pod("a", 3), true);
  const second = lists.items("pods", cache, items(cache));
  expect(JSON.parse(`{"items":[${second}`).items).toHaveLength(1);
  expect(lists.hits).toBe(1);
});

it("forgets the list that was used longest ago when there are too many bytes", () => {
  const cache = new ResourceCache();
  const lists = new ListBytes();
  cache.apply(pod("a", 1, 5 * 1024 * 1024), false);
  const made = ["one", "two", "three"].map((id) => lists.items(id, cache, items(cache)));
  expect(lists.items("one", cache, items(cache))).toBe(made[0]);
  lists.items("four", cache, items(cache));
  expect(lists.items("one", cache, items(cache))).toBe(made[0]);
  expect(lists.items("two", cache, items(cache))).not.toBe(made[1]);
});
