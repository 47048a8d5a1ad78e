// User JavaScript in a pod: modules, files, sockets, signals, and what it must not reach.
import { systemClock } from "@podwire/base";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ContainerOptions } from "../../container/container.ts";
import { type HeardContainer, LonePod } from "../../container/lone-pod.ts";
import { DirInode, FileInode, FileSystem } from "../../vfs/inode.ts";

let pod: LonePod;
beforeEach(() => {
  pod = new LonePod({ hostname: "web-0" });
});
afterEach(() => pod.stop());

/** A volume of texts, as a ConfigMap's. */
function volume(files: Record<string, string>): FileSystem {
  const fs = new FileSystem({ type: "tmpfs", now: () => systemClock.nowMs() });
  for (const [path, text] of Object.entries(files)) {
    let dir = fs.root;
    const parts = path.split("/");
    for (const part of parts.slice(0, -1)) {
      if (!dir.get(part)) dir.link(part, new DirInode(fs, 0o755, 0, 0));
      dir = dir.get(part) as DirInode;
    }
    const f = new FileInode(fs, 0o644, 0, 0);
    f.adopt(Buffer.from(text));
    dir.link(parts.at(-1) as string, f);
  }
  return fs;
}

function start(image: string, o: Partial<ContainerOptions>, files: Record<string, string> = {}): HeardContainer {
  const mounts = [{ mountPath: "/app", root: volume(files).root, readOnly: false }];
  return pod.start(image, { mounts, workingDir: "/app", ...o });
}

async function run(program: string, files: Record<string, string> = {}, o: Partial<ContainerOptions> = {}) {
  const c = start("node:22", { args: ["main.js"], ...o }, { "main.js": program, ...files });
  const status = await c.wait();
  return { text: c.text, ...status };
}

async function until(c: { text: string }, text: string): Promise<void> {
  for (let i = 0; i < 500 && !c.text.includes(text); i++) await new Promise((r) => setTimeout(r, 20));
  expect(c.text).toContain(text);
}

async function sh(script: string): Promise<string> {
  const c = start("nicolaka/netshoot", { command: ["sh", "-c", script] });
  await c.wait();
  return c.text;
}

const SERVER = `const http = require("node:http");
const fs = require("fs");
const server = http.createServer((req, res) => {
  if (req.url === "/file") return res.end(fs.readFileSync("/app/page.txt", "utf8"));
  if (req.url === "/loop") { res.end("looping"); setTimeout(() => { for (;;); }, 20); return; }
  let body = "";
  req.on("data", (d) => (body += d));
  req.on("end", () => { res.setHeader("content-type", "application/json"); res.end(JSON.stringify({ host: require("os").hostname(), url: req.url, body })); });
});
process.on("SIGTERM", () => { console.log("closing"); server.close(() => process.exit(3)); });
server.listen(process.env.PORT, () => console.log("listening", server.address().port));`;

describe("a server from a volume", () => {
  it("answers on the pod's network and ends by its SIGTERM handler", async () => {
    const c = start(
      "node:22-alpine",
      { command: ["node", "server.js"], env: { PORT: "8080" } },
      { "server.js": SERVER, "page.txt": "from a file\n" },
    );
    await until(c, "listening 8080");
    expect(await sh("curl -s http://127.0.0.1:8080/file; curl -s -d hello http://127.0.0.1:8080/x")).toBe(
      'from a file\n{"host":"web-0","url":"/x","body":"hello"}',
    );
    c.kill(15);
    expect(await c.wait()).toEqual({ code: 3, signal: 0 });
    expect(c.text).toBe("listening 8080\nclosing\n");
  });

  it("a loop without end leaves the others their turns, and KILL ends it", async () => {
    const c = start("node", { args: ["server.js"], env: { PORT: "8080" } }, { "server.js": SERVER });
    await until(c, "listening");
    expect(await sh("curl -s http://127.0.0.1:8080/loop")).toBe("looping");
    await new Promise((r) => setTimeout(r, 60));
    expect(await sh("echo alive")).toBe("alive\n");
    c.kill(9);
    expect(await c.wait()).toEqual({ code: 0, signal: 9 });
  });

  it("a port in use is EADDRINUSE", async () => {
    const first = start("node", { args: ["server.js"], env: { PORT: "8080" } }, { "server.js": SERVER });
    await until(first, "listening");
    const r = await run("require('net').createServer().listen(8080)");
    expect(r.code).toBe(1);
    expect(r.text).toContain("listen EADDRINUSE: address already in use :::8080");
  });
});

describe("programs", () => {
  it("fetch and http reach other servers of the pod", async () => {
    const c = start("node", { args: ["server.js"], env: { PORT: "8080" } }, { "server.js": SERVER });
    await until(c, "listening");
    const r = await run(`fetch("http://127.0.0.1:8080/a", { method: "POST", body: "b" }).then((r) => r.json()).then((v) => {
      console.log(v.url, v.body);
      require("http").get("http://127.0.0.1:8080/file2", (res) => { res.resume(); res.on("end", () => console.log(res.statusCode)); });
    });
    fetch("http://127.0.0.1:1/").catch((e) => console.log(e.message, e.cause.code));`);
    expect(r.text.split("\n").sort().join("|")).toBe("|/a b|200|fetch failed ECONNREFUSED");
    expect(r.code).toBe(0);
  });

  it("modules: require, import, JSON, node_modules and exports", async () => {
    const files = {
      "lib/index.js": "exports.add = (a, b) => a + b;",
      "data.json": '{"x": 5}',
      "node_modules/dep/package.json": '{"main": "lib/dep"}',
      "node_modules/dep/lib/dep.js": "module.exports = 'dep';",
      "node_modules/@s/e/package.json": '{"exports": {".": {"import": "./e.mjs", "require": "./e.cjs"}}}',
      "node_modules/@s/e/e.cjs": "module.exports = 'required';",
      "node_modules/@s/e/e.mjs": "export default 'imported';",
      "m.mjs":
        "import e from '@s/e'; import { readFileSync } from 'node:fs'; export default e + readFileSync(new URL('data.json', import.meta.url));",
    };
    const r = await run(
      `console.log(require("./lib").add(1, 2), require("./data").x, require("dep"), require("@s/e"), require.main === module, __filename);
       import("./m.mjs").then((m) => console.log(m.default));
       try { require("./none"); } catch (e) { console.log(e.code); }`,
      files,
    );
    expect(r.text).toBe('3 5 dep required true /app/main.js\nMODULE_NOT_FOUND\nimported{"x": 5}\n');
  });

  it("files are the container's, with its permissions and errors", async () => {
    const r = await run(
      `const fs = require("fs");
       fs.mkdirSync("/tmp/a/b", { recursive: true });
       fs.writeFileSync("/tmp/a/f", "one\\n"); fs.appendFileSync("/tmp/a/f", "two\\n");
       console.log(fs.readdirSync("/tmp/a").join(), fs.statSync("/tmp/a/f").size, fs.existsSync("/nope"));
       fs.rmSync("/tmp/a", { recursive: true });
       try { fs.readFileSync("/nope"); } catch (e) { console.log(e.message); }
       try { fs.writeFileSync("/etc/x", ""); } catch (e) { console.log(e.code); }
       fs.promises.readFile("/app/main.js", "utf8").then((t) => console.log(t.length > 100));`,
      {},
      { user: { uid: 1000 } },
    );
    expect(r.text).toBe("b,f 8 false\nENOENT: no such file or directory, open '/nope'\nEACCES\ntrue\n");
  });

  it("nothing of the host is in reach", async () => {
    const r = await run(`for (const m of ["child_process", "worker_threads", "vm", "inspector", "dgram", "cluster", "node:sqlite"])
        try { require(m); console.log("got", m); } catch (e) { console.log(e.code); }
      console.log(process.pid, process.cwd(), Object.keys(process.env).includes("PATH"), process.env.HOME, typeof process.binding, typeof process.getBuiltinModule);
      console.log(require("fs").existsSync("${process.cwd()}"));
      console.log(Function("return process.pid")());`);
    expect(r.text).toBe(`${"ERR_UNKNOWN_BUILTIN_MODULE\n".repeat(7)}1 /app true /root undefined undefined\nfalse\n1\n`);
  });

  it("an error that nobody catches is told with exit code 1; process.exit flushes what was printed", async () => {
    const thrown = await run("setTimeout(() => { throw new Error('boom'); }, 1)");
    expect(thrown.code).toBe(1);
    expect(thrown.text).toContain("Error: boom");
    expect(await run("console.log('x'.repeat(5)); process.stdout.write('y'); process.exit(7)")).toMatchObject({
      text: "xxxxx\ny",
      code: 7,
    });
    expect((await run("syntax error here")).code).toBe(1);
    expect((await run("", {}, { args: ["missing.js"] })).text).toContain("Cannot find module '/app/missing.js'");
  });

  it("-e, --version, npm start", async () => {
    expect((await run("", {}, { args: ["-p", "1+1"] })).text).toBe("2\n");
    expect((await run("", {}, { args: ["--version"] })).text).toBe(`${process.version}\n`);
    const npm = await run(
      "console.log('started', process.argv[2])",
      { "package.json": '{"scripts": {"start": "node main.js arg"}}' },
      { command: ["npm", "start"] },
    );
    expect(npm.text).toContain("started arg\n");
  });

  it("standard input is read", async () => {
    expect(await sh("true")).toBe("");
    const c = start("node", { command: ["sh", "-c", 'echo hello | node -e \'process.stdin.on("data", d => console.log("got " + d))\''] });
    await c.wait();
    expect(c.text).toBe("got hello\n\n");
  });
});
