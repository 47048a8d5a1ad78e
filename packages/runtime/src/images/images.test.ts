// Images over real packets: two pods on one node's bridge would do; here two namespaces joined by a veth.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { macOfIpv4, NetNamespace, POD_MAC, parseIpv4, vethPair } from "@podwire/net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createPodSandbox, type PodSandbox } from "../container/sandbox.ts";
import type { NetStack } from "../net/net-stack.ts";
import { ImageCatalogue } from "./catalogue.ts";

const clock = systemClock;
const random = seededRandom(3);
const log = silentLogger;
const catalogue = new ImageCatalogue({ strict: true });
let sandboxes: PodSandbox[];
let spaces: NetNamespace[];

beforeEach(() => {
  const ends = ["10.0.0.1", "10.0.0.2"].map((a) => ({ name: "eth0", mac: macOfIpv4(POD_MAC, parseIpv4(a) as number), address: a }));
  const pair = vethPair(clock, ends[0]!, ends[1]!);
  spaces = ends.map((e, i) => {
    const ns = new NetNamespace({ name: `t/${i}`, process: "t", clock, random, log });
    ns.addDevice(pair[i]!);
    ns.addAddress(pair[i]!, e.address, 24);
    return ns;
  });
  sandboxes = spaces.map((ns, i) =>
    createPodSandbox({
      name: `pod-${i}`,
      namespace: "t",
      uid: String(i),
      hostname: `pod-${i}`,
      netns: ns as unknown as NetStack,
      clock,
      random,
      log,
    }),
  );
});

afterEach(() => {
  for (const s of sandboxes) s.stop();
  for (const n of spaces) n.close();
});

function start(pod: number, image: string, o: { command?: string[]; args?: string[] } = {}) {
  const r = catalogue.resolve(image);
  if (r.kind !== "image") throw new Error(r.message);
  const c = sandboxes[pod]!.createContainer({ name: image, image: r.image, env: {}, mounts: [], ...o });
  c.start();
  return c;
}

async function sh(pod: number, script: string, image = "nicolaka/netshoot"): Promise<{ out: string; err: string; code: number }> {
  const keep = start(pod, image, { command: ["sleep", "100"] });
  const s = keep.execute(["sh", "-c", script]);
  let out = "";
  let err = "";
  s.onOutput((stream, b) => {
    if (stream === "stdout") out += Buffer.from(b).toString();
    else err += Buffer.from(b).toString();
  });
  const status = await s.wait();
  keep.kill(9);
  return { out, err, code: status.signal ? 128 + status.signal : status.code };
}

const settle = () => new Promise((r) => setTimeout(r, 20));

it("httpd serves its folder and loses its page when index.html goes", async () => {
  const c = start(0, "httpd:2.4.39-4");
  await settle();
  expect((await sh(1, "curl -s http://10.0.0.1/")).out).toBe("<html><body><h1>It works!</h1></body></html>\n");
  const s = c.execute(["mv", "-v", "/usr/local/apache2/htdocs/index.html", "/tmp/"]);
  await s.wait();
  const gone = await sh(1, "curl -s -o /dev/null -w '%{http_code}' http://10.0.0.1/");
  expect(gone.out).toBe("403");
});

it("nginx honours listen, return, proxy_pass and headers of its configuration", async () => {
  const c = start(0, "nginx", {
    command: [
      "sh",
      "-c",
      `cat > /etc/nginx/conf.d/default.conf <<'EOF'
server {
  listen 8080;
  add_header X-Who "nginx";
  location / { root /usr/share/nginx/html; }
  location = /ping { return 200 "pong $remote_addr\\n"; }
  location /old { return 301 http://example.org/new; }
  location /up/ { proxy_pass http://127.0.0.1:5678/; }
}
EOF
exec nginx -g 'daemon off;'`,
    ],
  });
  const echo = start(0, "hashicorp/http-echo", { args: ["-text=behind"] });
  await settle();
  expect((await sh(1, "curl -s http://10.0.0.1:8080/ping")).out).toBe("pong 10.0.0.2\n");
  expect((await sh(1, "curl -s http://10.0.0.1:8080/up/x")).out).toBe("behind\n");
  const head = await sh(1, "curl -s -i http://10.0.0.1:8080/old; curl -s -I http://10.0.0.1:8080/");
  expect(head.out).toContain("301 Moved Permanently");
  expect(head.out).toContain("Location: http://example.org/new");
  expect(head.out).toContain("X-Who: nginx");
  expect(c.running && echo.running).toBe(true);
});

it("nginx refuses a configuration with its own message", async () => {
  const c = start(0, "nginx", {
    command: ["sh", "-c", "echo 'server { listen 80; nonsense on; }' > /etc/nginx/conf.d/default.conf; exec nginx"],
  });
  let err = "";
  c.onOutput((_s, b) => {
    err += Buffer.from(b).toString();
  });
  expect(await c.wait()).toEqual({ code: 1, signal: 0 });
  expect(err).toMatch(/^nginx: \[emerg\] unknown directive "nonsense" in /);
});

it("redis answers RESP and redis-cli speaks it", async () => {
  start(0, "redis:7");
  await settle();
  const r = await sh(
    1,
    "redis-cli -h 10.0.0.1 set a 1; redis-cli -h 10.0.0.1 incr a; redis-cli -h 10.0.0.1 rpush l x y; redis-cli -h 10.0.0.1 lrange l 0 -1; redis-cli -h 10.0.0.1 nope",
    "redis",
  );
  expect(r.out).toBe("OK\n2\n2\nx\ny\nERR unknown command 'nope', with args beginning with: \n");
});

it("curl names what failed as curl does", async () => {
  expect(await sh(1, "curl -s -S http://10.0.0.1:81/")).toMatchObject({
    code: 7,
    err: expect.stringMatching(/^curl: \(7\) Failed to connect to 10\.0\.0\.1 port 81 after \d+ ms: Could not connect to server\n$/),
  });
  expect((await sh(1, "curl -q -s --connect-timeout 1 http://10.0.0.77/")).code).toBe(28);
});

it("two containers of a pod share localhost and refuse one port twice", async () => {
  start(0, "nginx");
  await settle();
  expect((await sh(0, "wget -q -O- http://127.0.0.1/ | head -1")).out).toBe("<!DOCTYPE html>\n");
  const second = await sh(0, "nc -l -p 80");
  expect(second).toMatchObject({ code: 1, err: "nc: bind: Address already in use\n" });
});

it("unknown references: stood in for, refused when strict, invalid", () => {
  expect(new ImageCatalogue({ strict: false }).resolve("example.org/x/y:1")).toMatchObject({ kind: "image", image: { standIn: true } });
  expect(catalogue.resolve("example.org/x/y:1").kind).toBe("absent");
  expect(new ImageCatalogue({ strict: false }).resolve("foo:non-existent").kind).toBe("absent");
  expect(catalogue.resolve("busybox:::1").kind).toBe("invalid");
});
