// Containers of a sandbox: what starts, what signals do, what is shared and what is not.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ImageCatalogue } from "../images/catalogue.ts";
import type { NetStack } from "../net/net-stack.ts";
import { FileSystem } from "../vfs/inode.ts";
import { type Container, type ContainerOptions, StartError } from "./container.ts";
import { createHostSandbox, createPodSandbox, type PodSandbox, type SandboxOptions } from "./sandbox.ts";

const clock = systemClock;
let netns: NetNamespace;
let sandbox: PodSandbox;
const open: PodSandbox[] = [];

function pod(o: Partial<SandboxOptions> = {}): PodSandbox {
  const s = createPodSandbox({
    name: "p",
    namespace: "t",
    uid: "1",
    hostname: "p",
    netns: netns as unknown as NetStack,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    ...o,
  });
  open.push(s);
  return s;
}

beforeEach(() => {
  netns = new NetNamespace({ name: "t/p", process: "t", clock, random: seededRandom(1), log: silentLogger });
  sandbox = pod();
});
afterEach(() => {
  for (const s of open.splice(0)) s.stop();
  netns.close();
});

function make(script: string | string[], o: Partial<ContainerOptions> = {}, s = sandbox): Container & { text: string } {
  const r = new ImageCatalogue({ strict: true }).resolve("busybox");
  if (r.kind !== "image") throw new Error("no busybox");
  const c = s.createContainer({
    name: "c",
    image: r.image,
    command: typeof script === "string" ? ["sh", "-c", script] : script,
    env: {},
    mounts: [],
    ...o,
  }) as Container & { text: string };
  c.text = "";
  c.onOutput((_s, b) => {
    c.text += Buffer.from(b).toString();
  });
  return c;
}

const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));

async function run(
  script: string,
  o: Partial<ContainerOptions> = {},
): Promise<{ text: string; code: number; signal: number; c: Container }> {
  const c = make(script, o);
  c.start();
  const s = await c.wait();
  return { text: c.text, ...s, c };
}

describe("the first process", () => {
  it("ignores TERM without a handler, dies by KILL", async () => {
    const c = make(["sleep", "100"]);
    c.start();
    c.kill(15);
    await sleep(30);
    expect(c.running).toBe(true);
    c.kill(9);
    expect(await c.wait()).toEqual({ code: 0, signal: 9 });
  });

  it("runs its TERM trap, and ends what it has started when it ends", async () => {
    const c = make("trap 'echo bye; exit 5' TERM; sleep 100 & while true; do sleep 0.01; done");
    c.start();
    await sleep(50);
    c.kill(15);
    expect(await c.wait()).toEqual({ code: 5, signal: 0 });
    expect(c.text).toBe("bye\n");
    expect(c.context.processes.size).toBe(0);
  });

  it("cannot be killed from inside its namespace", async () => {
    const r = await run("kill -9 1; kill -9 $$; echo alive");
    expect(r.text).toBe("alive\n");
  });

  it("is taken over by the last command of -c", async () => {
    const c = make("sleep 100");
    c.start();
    await sleep(20);
    expect(c.init?.argv).toEqual(["sleep", "100"]);
  });
});

describe("starting", () => {
  it("says what a runtime says of a program that is not there", () => {
    const c = make(["/nope"]);
    expect(() => c.start()).toThrow(StartError);
    expect(() => make(["nope"]).start()).toThrow(
      /error during container init: exec: "nope": executable file not found in \$PATH: unknown$/,
    );
  });

  it("busybox without standard input ends at once", async () => {
    const c = make([], { command: undefined as never });
    c.start();
    expect(await c.wait()).toEqual({ code: 0, signal: 0 });
  });
});

describe("files", () => {
  it("a read-only root refuses with the shell's words, /dev stays writable", async () => {
    const c = make(["/bin/sh", "-c", "echo test > /file; echo x > /dev/null && echo ok"], { readOnlyRootFilesystem: true });
    c.start();
    await c.wait();
    expect(c.text).toBe("/bin/sh: can't create /file: Read-only file system\nok\n");
  });

  it("two containers share a volume, a FIFO in it, and shared memory; another pod shares none", async () => {
    const volume = new FileSystem({ type: "tmpfs", now: () => clock.nowMs() });
    volume.root.mode = 0o777;
    const mounts = [{ mountPath: "/v", root: volume.root, readOnly: false }];
    const a = make("mkfifo /v/p; echo shm > /dev/shm/x; echo file > /v/f; cat /v/p", { mounts });
    a.start();
    await sleep(50);
    const b = make("cat /v/f /dev/shm/x; echo through > /v/p", { mounts });
    b.start();
    await Promise.all([a.wait(), b.wait()]);
    expect(b.text).toBe("file\nshm\n");
    expect(a.text).toBe("through\n");
    const other = make("ls /dev/shm /v 2>&1", {}, pod());
    other.start();
    await other.wait();
    expect(other.text).toContain("ls: /v: No such file or directory");
    expect(other.text).not.toContain("x\n");
  });

  it("a file system that is full says so", async () => {
    const small = new FileSystem({ type: "tmpfs", now: () => clock.nowMs(), sizeLimitBytes: 1000 });
    const r = await run("dd if=/dev/zero of=/v/f bs=600 count=2 2>&1 | head -1; wc -c < /v/f", {
      mounts: [{ mountPath: "/v", root: small.root, readOnly: false }],
    });
    expect(r.text).toBe("dd: No space left on device\n600\n");
  });

  it("permissions hold for a user that is not root", async () => {
    const r = await run("id -u; echo x > /etc/new; cat /root/x; touch /tmp/mine && stat -c %u /tmp/mine", {
      user: { uid: 1000, gid: 1000 },
    });
    expect(r.text).toBe("1000\nsh: can't create /etc/new: Permission denied\ncat: can't open '/root/x': Permission denied\n1000\n");
  });
});

describe("sockets of the file system", () => {
  it("two containers talk over a Unix socket in a shared volume; its name alone refuses", async () => {
    const volume = new FileSystem({ type: "tmpfs", now: () => clock.nowMs() });
    volume.root.mode = 0o777;
    const mounts = [{ mountPath: "/v", root: volume.root, readOnly: false }];
    const server = make("echo from server | nc -lU /v/s", { mounts });
    server.start();
    await sleep(50);
    const client = make("ls -l /v/s | cut -c1; echo from client | nc -U /v/s", { mounts });
    client.start();
    await Promise.all([server.wait(), client.wait()]);
    expect(client.text).toBe("s\nfrom server\n");
    expect(server.text).toBe("from client\n");
    const late = make("nc -U /v/s; nc -lU /v/s; nc -U /v/none", { mounts });
    late.start();
    await late.wait();
    expect(late.text).toBe(
      "nc: unix connect failed: Connection refused\nnc: unix connect failed: Address already in use\nnc: unix connect failed: No such file or directory\n",
    );
  });
});

describe("privileges", () => {
  const nonewprivs = () => {
    const r = new ImageCatalogue({ strict: true }).resolve("registry.k8s.io/e2e-test-images/nonewprivs:1.3");
    if (r.kind !== "image") throw new Error("no nonewprivs");
    return r.image;
  };
  it("a set-user-ID program runs as its owner, unless privileges may not grow", async () => {
    for (const [noNewPrivileges, uid] of [
      [false, 0],
      [true, 1000],
    ] as const) {
      const c = make([], { image: nonewprivs(), user: { uid: 1000, noNewPrivileges } });
      c.start();
      await c.wait();
      expect(c.text).toBe(`Effective uid: ${uid}\n`);
    }
  });

  it("capabilities show in /proc and decide", async () => {
    const status = "grep -E 'Cap(Eff|Bnd)|NoNew' /proc/self/status | tr -s '\\t' ' '";
    expect((await run(status)).text).toBe("CapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nNoNewPrivs: 0\n");
    const dropped = await run(`${status}; touch /tmp/f; chown 5 /tmp/f; kill -0 1`, {
      user: { dropCaps: ["ALL"], addCaps: ["NET_ADMIN"], noNewPrivileges: true },
    });
    expect(dropped.text).toBe(
      "CapEff: 0000000000001000\nCapBnd: 0000000000001000\nNoNewPrivs: 1\nchown: /tmp/f: Operation not permitted\n",
    );
    const user = await run(status, { user: { uid: 1000 } });
    expect(user.text).toBe("CapEff: 0000000000000000\nCapBnd: 00000000a80425fb\nNoNewPrivs: 0\n");
  });
});

describe("accounting", () => {
  it("a busy loop's processor time and a program's memory show in the container's stats", async () => {
    const c = make("while :; do :; done");
    c.start();
    await sleep(300);
    const s = c.stats();
    expect(s.cpuMs).toBeGreaterThan(20);
    c.init?.charge(5_000_000);
    expect(c.stats().memoryBytes - s.memoryBytes).toBe(5_000_000);
    c.init?.simulateCpu(2000);
    const before = c.stats().cpuMs;
    await sleep(100);
    expect(c.stats().cpuMs - before).toBeGreaterThan(190);
    c.kill(9);
    await c.wait();
    const ended = c.stats().cpuMs;
    await sleep(20);
    expect(c.stats().cpuMs).toBe(ended);
    expect(c.stats().processes).toBe(0);
  });
});

describe("processes", () => {
  it("shareProcessNamespace: /pause is PID 1 and the others are seen and signalled", async () => {
    const shared = pod({ shareProcessNamespace: true });
    const a = make("trap 'echo got; exit 0' USR1; while :; do sleep 0.01; done", {}, shared);
    a.start();
    const b = make("ps -o pid,args; pkill=1; kill -USR1 $(pgrep -f 'trap')", {}, shared);
    b.start();
    await a.wait();
    await b.wait();
    expect(b.text).toMatch(/^ +1 \/pause$/m);
    expect(a.text).toBe("got\n");
  });

  it("hostPID and hostIPC: pods see the node's processes and shared memory", async () => {
    const host = createHostSandbox({
      name: "n",
      namespace: "",
      uid: "",
      hostname: "n",
      netns: netns as unknown as NetStack,
      clock,
      random: seededRandom(1),
      log: silentLogger,
    });
    open.push(host);
    const own = { pidNamespace: host.sharedPids!, sharedMemory: host.sharedMemory };
    const a = make("echo seen > /dev/shm/a; sleep 100", {}, pod(own));
    a.start();
    await sleep(30);
    const b = make("ps -o pid,args; cat /dev/shm/a", {}, pod(own));
    b.start();
    await b.wait();
    expect(b.text).toMatch(/^ +1 \/sbin\/init$/m);
    expect(b.text).toMatch(/sleep 100/);
    expect(b.text).toMatch(/seen\n$/);
    expect(a.running).toBe(true);
  });

  it("a pipe holds back a writer, and SIGPIPE ends it", async () => {
    const r = await run("yes | head -c 100000 | wc -c; (trap '' PIPE; yes) 2>&1 >/dev/full | head -1");
    expect(r.text).toBe("100000\nyes: No space left on device\n");
  });

  it("memory past the limit is OOM-killed", async () => {
    const c = make(["sleep", "100"], { memoryLimitBytes: 1000 });
    c.start();
    await sleep(10);
    c.init?.charge(2000);
    expect(await c.wait()).toEqual({ code: 0, signal: 9 });
    expect(c.oomKilled).toBe(true);
  });

  it("a busy loop leaves the event loop its turns within 8 ms", async () => {
    const c = make("while :; do :; done");
    c.start();
    await sleep(30);
    const turns: number[] = [];
    let last = process.threadCpuUsage();
    for (let i = 0; i < 40; i++) {
      await new Promise((r) => setImmediate(r));
      const now = process.threadCpuUsage(last);
      last = process.threadCpuUsage();
      turns.push((now.user + now.system) / 1000);
    }
    c.kill(9);
    await c.wait();
    // Processor time, because a loaded machine takes turns of its own.
    turns.sort((a, b) => a - b);
    expect(turns[20]).toBeLessThan(8);
  });

  it("exec runs beside the first process, with a terminal when asked", async () => {
    const c = make(["sleep", "100"]);
    c.start();
    const s = c.execute(["sh"], { stdin: true, tty: true });
    let text = "";
    s.onOutput((_x, b) => {
      text += Buffer.from(b).toString();
    });
    await s.write(Buffer.from("echo $((6*7)); tty\r"));
    await sleep(50);
    expect(text).toContain("42\r\n/dev/pts/0\r\n");
    await s.write(Buffer.from("sleep 50\r"));
    await sleep(50);
    await s.write(Buffer.from([3]));
    await sleep(50);
    await s.write(Buffer.from("exit 4\r"));
    expect(await s.wait()).toEqual({ code: 4, signal: 0 });
    expect(text).toContain("^C");
  });
});
