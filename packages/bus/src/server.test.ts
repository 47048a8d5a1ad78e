// Where the nats-server comes from, with binaries made for the test and without any network; and the child process itself.
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, localServer, natsBinary } from "./server.suite.ts";
import { checkNatsServer, findNatsServer, NatsServerMissingError, obtainNatsServer, parseVersion, versionAtLeast } from "./server.ts";
import { NatsServerError, startNatsServer } from "./server-process.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "podwire-obtain-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fake(name: string, script: string): Promise<string> {
  const dir = join(folder, name);
  await mkdir(dir, { recursive: true });
  const file = join(dir, "nats-server");
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
}

test("versions", () => {
  expect(parseVersion("nats-server: v2.9.10")).toEqual([2, 9, 10]);
  expect(parseVersion("2.12.15-RC.1")).toEqual([2, 12, 15]);
  expect(parseVersion("no")).toBeUndefined();
  expect(versionAtLeast([2, 10, 0], [2, 9, 10])).toBe(true);
  expect(versionAtLeast([2, 9, 9], [2, 9, 10])).toBe(false);
  expect(versionAtLeast([2, 9, 10], [2, 9, 10])).toBe(true);
});

test("order: PODWIRE_NATS_SERVER, PATH, cache; what is not executable does not count", async () => {
  const own = await fake("own", "echo nats-server: v2.11.0");
  const onPath = await fake("path", "echo nats-server: v2.10.1");
  const cached = await fake("cache", "echo nats-server: v2.10.2");
  const PATH = `/nonexistent:${join(folder, "path")}`;
  expect(findNatsServer({ PODWIRE_NATS_SERVER: own, PATH })).toEqual({ binary: own, from: "PODWIRE_NATS_SERVER" });
  expect(findNatsServer({ PODWIRE_NATS_SERVER: join(folder, "absent"), PATH })).toBeUndefined();
  expect(findNatsServer({ PATH }, join(folder, "cache"))).toEqual({ binary: onPath, from: "PATH" });
  expect(findNatsServer({ PATH: "" }, join(folder, "cache"))).toEqual({ binary: cached, from: "cache" });
  await chmod(cached, 0o644);
  expect(findNatsServer({}, join(folder, "cache"))).toBeUndefined();
});

test("obtain: the caller's URL wins; a usable binary is taken with its version; one too old or broken is refused by name", async () => {
  const base = { cacheDir: join(folder, "none"), clock: systemClock };
  expect(await obtainNatsServer({ ...base, env: { NATS_URL: "nats://elsewhere:4222", PATH: "" } })).toEqual({
    url: "nats://elsewhere:4222",
  });
  const good = await fake("good", "echo nats-server: v2.11.4");
  expect(await obtainNatsServer({ ...base, env: { PODWIRE_NATS_SERVER: good } })).toEqual({
    binary: good,
    from: "PODWIRE_NATS_SERVER",
    version: [2, 11, 4],
  });
  await expect(checkNatsServer(await fake("old", "echo nats-server: v2.8.4"))).rejects.toThrow("2.8.4; Podwire needs 2.9.10");
  await expect(checkNatsServer(await fake("broken", "exit 3"))).rejects.toThrow("does not run");
  await expect(obtainNatsServer({ ...base, env: { PODWIRE_NATS_SERVER: join(folder, "absent") } })).rejects.toThrow("not an executable");
});

test("when nothing can be had, the error lists what was tried and the command to type", async () => {
  const old = await fake("stale", "echo nats-server: v2.2.0");
  const o = { env: { PATH: join(old, "..") }, cacheDir: join(folder, "empty"), clock: systemClock, platform: "darwin", arch: "mips" };
  const e = await obtainNatsServer(o).catch((x) => x);
  expect(e).toBeInstanceOf(NatsServerMissingError);
  expect(e.next).toBe("brew install nats-server");
  expect(e.message).toContain("2.2.0");
  expect(e.message).toContain("no release is pinned");
});

describe.skipIf(natsBinary === undefined)("the child process (skipped without a nats-server)", () => {
  test("a broken configuration and a taken port are told with the server's own words", async () => {
    const configFile = join(folder, "bad.conf");
    const port = await freePort();
    await writeFile(configFile, `listen: "127.0.0.1:${port}"\nnonsense_option: {`);
    const o = { binary: natsBinary as string, configFile, host: "127.0.0.1", port, clock: systemClock };
    await expect(startNatsServer(o)).rejects.toBeInstanceOf(NatsServerError);
    const running = await localServer();
    await writeFile(configFile, `listen: "127.0.0.1:${running.port}"\n`);
    await expect(startNatsServer({ ...o, port: running.port })).rejects.toThrow(`port ${running.port} is taken`);
    await running.close();
  });

  test("exited resolves, whatever ends the server", async () => {
    const port = await freePort();
    const configFile = join(folder, "good.conf");
    await writeFile(configFile, `listen: "127.0.0.1:${port}"\n`);
    const lines: string[] = [];
    const o = {
      binary: natsBinary as string,
      configFile,
      host: "127.0.0.1",
      port,
      clock: systemClock,
      onLog: (l: string) => void lines.push(l),
    };
    const s1 = await startNatsServer(o);
    await s1.stop();
    expect(await s1.exited).toMatchObject({ signal: undefined });
    expect(lines.join("\n")).toContain("Server is ready");
    const s2 = await startNatsServer(o);
    process.kill(s2.pid, "SIGKILL");
    expect(await s2.exited).toMatchObject({ signal: "SIGKILL" });
  });
});
