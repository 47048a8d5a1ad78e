import { expect, test } from "vitest";
import { SessionOutput } from "./session-output.ts";

test("a listener that holds makes writes wait, and is woken for when it lets go", async () => {
  const output = new SessionOutput();
  let heard = 0;
  let holds: PromiseWithResolvers<void> | undefined;
  output.add((_stream, bytes) => {
    heard += bytes.length;
    return holds?.promise;
  });
  const file = output.file("stdout").ref();
  expect(file.writeNow(Buffer.alloc(200_000))).toBe(200_000);
  holds = Promise.withResolvers<void>();
  // One piece is taken, then nothing: a writer never runs further ahead.
  expect(file.writeNow(Buffer.alloc(200_000))).toBe(65_536);
  expect(file.writeNow(Buffer.from("x"))).toBe(0);
  let woken = 0;
  file.onWritable(() => void woken++);
  expect(woken).toBe(0);
  const held = holds;
  holds = undefined;
  held.reject(new Error("the listener broke"));
  await expect.poll(() => woken).toBe(1);
  expect(file.writeNow(Buffer.from("xy"))).toBe(2);
  expect(heard).toBe(200_000 + 65_536 + 2);
});
