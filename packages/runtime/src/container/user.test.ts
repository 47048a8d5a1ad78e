// Who a container's processes are.
import { expect, it } from "vitest";
import { identityOf } from "./user.ts";

const files = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
  group: "root:x:0:\nwheel:x:10:root,alice\nalice:x:1000:\n",
  defaultCaps: [],
};

it("a user is in the groups that the image's /etc/group puts it into, unless supplementalGroupsPolicy is Strict", () => {
  const groups = (strictGroups: boolean) => identityOf({ uid: 1000, groups: [2000], strictGroups }, undefined, files).groups;
  expect(groups(false)).toEqual([1000, 10, 2000]);
  expect(groups(true)).toEqual([1000, 2000]);
});
