import { expect, test } from "vitest";
import type { KubeObject } from "./object.ts";
import { ObjectCache } from "./object-cache.ts";

const object = (name: string, revision: number, extra: object = {}): KubeObject => ({
  metadata: { name, namespace: "ns", uid: `u-${name}`, resourceVersion: String(revision), ...extra },
});
const change = (name: string, revision: number, previousRevision: number | undefined, deleted = false) => ({
  namespace: "ns",
  name,
  revision,
  previousRevision,
  deleted,
});

function recorded() {
  const log: string[] = [];
  const cache = new ObjectCache(
    {
      onAdd: (o) => log.push(`add ${o.metadata.name}@${o.metadata.resourceVersion}`),
      onUpdate: (o, old) => log.push(`update ${o.metadata.name}@${old.metadata.resourceVersion}->${o.metadata.resourceVersion}`),
      onDelete: (o) => log.push(`delete ${o.metadata.name}@${o.metadata.resourceVersion}`),
    },
    { byApp: (o) => (o.metadata.labels?.["app"] ? [o.metadata.labels["app"]] : []) },
  );
  return { cache, log };
}

test("versions follow each other; old ones are ignored", () => {
  const { cache, log } = recorded();
  cache.replace([object("a", 5)], 10);
  expect(cache.apply(change("a", 8, 5), object("a", 8))).toBe("old");
  expect(cache.apply(change("a", 11, 5), object("a", 11))).toBe("applied");
  expect(cache.apply(change("a", 11, 5), object("a", 11))).toBe("old");
  expect(cache.apply(change("b", 12, 0), object("b", 12))).toBe("applied");
  expect(cache.apply(change("a", 13, 11, true), object("a", 13))).toBe("applied");
  expect(log).toEqual(["add a@5", "update a@5->11", "add b@12", "delete a@13"]);
});

test("a missing version is a gap and changes nothing", () => {
  const { cache, log } = recorded();
  cache.replace([object("a", 5)], 10);
  expect(cache.apply(change("a", 15, 12), object("a", 15))).toBe("gap");
  expect(cache.get("ns", "a")?.metadata.resourceVersion).toBe("5");
  expect(cache.apply(change("new", 16, 14), object("new", 16))).toBe("gap");
  expect(log).toEqual(["add a@5"]);
});

test("a new object after a deletion stands on the tombstone", () => {
  const { cache } = recorded();
  cache.replace([object("a", 5)], 10);
  cache.apply(change("a", 11, 5, true), object("a", 11));
  expect(cache.apply(change("a", 20, 11), object("a", 20))).toBe("applied");
  // A deletion that happened before the list: its revision is not after the list's.
  expect(cache.apply(change("z", 21, 9), object("z", 21))).toBe("applied");
});

test("a list notifies differences only, and a namesake as delete and add", () => {
  const { cache, log } = recorded();
  cache.replace([object("a", 5), object("b", 6), object("c", 7)], 10);
  log.length = 0;
  cache.replace([object("a", 5), object("b", 12), object("c", 13, { uid: "other" })], 20);
  expect(log).toEqual(["update b@6->12", "delete c@7", "add c@13"]);
  cache.replace([], 30);
  expect(cache.size).toBe(0);
});

test("indexes hold exactly the cached objects", () => {
  const { cache } = recorded();
  cache.replace([object("a", 5, { labels: { app: "x" } }), object("b", 6, { labels: { app: "x" } })], 10);
  expect(cache.byIndex("byApp", "x").map((o) => o.metadata.name)).toEqual(["a", "b"]);
  cache.apply(change("a", 11, 5), object("a", 11, { labels: { app: "y" } }));
  expect(cache.byIndex("byApp", "x").map((o) => o.metadata.name)).toEqual(["b"]);
  expect(cache.byIndex("byApp", "y").map((o) => o.metadata.name)).toEqual(["a"]);
  cache.apply(change("b", 12, 6, true), object("b", 12));
  expect(cache.byIndex("byApp", "x")).toEqual([]);
  expect(() => cache.byIndex("none", "")).toThrow(RangeError);
});
