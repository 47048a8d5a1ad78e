// ip, ss, netstat, traceroute, tcpdump, top and host in pods: two pods whose namespaces are joined by a router over veths, so that what
// they print can be checked against what is there.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { macOfIpv4, NetNamespace, POD_MAC, parseIpv4, vethPair } from "@podwire/net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Container } from "../container/container.ts";
import { createPodSandbox, type PodSandbox } from "../container/sandbox.ts";
import type { Session } from "../container/session.ts";
import { ImageCatalogue } from "../images/catalogue.ts";
import type { NetStack } from "../net/net-stack.ts";

const clock = systemClock;
const random = seededRandom(3);
const log = silentLogger;
const catalogue = new ImageCatalogue({ strict: true });
let sandboxes: PodSandbox[];
let spaces: NetNamespace[];

beforeEach(() => {
  const router = new NetNamespace({ name: "router", process: "t", clock, random, log, ipForward: true });
  spaces = ["10.0.1", "10.0.2"].map((net, i) => {
    const ns = new NetNamespace({ name: `t/${i}`, process: "t", clock, random, log });
    const mac = (a: string) => macOfIpv4(POD_MAC, parseIpv4(a) as number);
    const [own, far] = vethPair(clock, { name: "eth0", mac: mac(`${net}.2`) }, { name: `veth${i}`, mac: mac(`${net}.1`) });
    ns.addDevice(own);
    ns.addAddress(own, `${net}.2`, 24);
    ns.addRoute({ to: "default", via: `${net}.1` });
    router.addDevice(far);
    router.addAddress(far, `${net}.1`, 24);
    return ns;
  });
  spaces.push(router);
  sandboxes = spaces.slice(0, 2).map((ns, i) =>
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

function start(pod: number, command: string[], o: { image?: string; caps?: string[]; drop?: string[] } = {}): Container {
  const r = catalogue.resolve(o.image ?? "nicolaka/netshoot");
  if (r.kind !== "image") throw new Error(r.kind);
  const user = { ...(o.caps ? { addCaps: o.caps } : {}), ...(o.drop ? { dropCaps: o.drop } : {}) };
  const c = sandboxes[pod]!.createContainer({ name: "c", image: r.image, env: {}, mounts: [], command, user });
  c.start();
  return c;
}

function collect(s: Session) {
  const got = { out: "", err: "", bytes: [] as Buffer[] };
  s.onOutput((stream, b) => {
    if (stream === "stdout") {
      got.out += Buffer.from(b).toString();
      got.bytes.push(Buffer.from(b));
    } else got.err += Buffer.from(b).toString();
  });
  return got;
}

async function run(c: Container, script: string) {
  const s = c.execute(["sh", "-c", script]);
  const got = collect(s);
  const status = await s.wait();
  return { ...got, code: status.code };
}

const keep = (pod: number, o: Parameters<typeof start>[2] = {}) => start(pod, ["sleep", "100"], o);
const settle = (ms = 30) => new Promise((r) => setTimeout(r, ms));
/** Waits until `text` is there. */
async function until(what: () => boolean) {
  for (let i = 0; i < 200 && !what(); i++) await settle(10);
  expect(what()).toBe(true);
}

it("ip shows the pod's addresses, links, routes and neighbours, in iproute2's words and in busybox's", async () => {
  const c = keep(0);
  const mac = "0a:58:0a:00:01:02";
  expect((await run(c, "ip addr show eth0")).out).toBe(
    `2: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default \n    link/ether ${mac} brd ff:ff:ff:ff:ff:ff link-netnsid 0\n    inet 10.0.1.2/24 brd 10.0.1.255 scope global eth0\n       valid_lft forever preferred_lft forever\n`,
  );
  expect((await run(c, "ip -4 -o addr show dev eth0")).out).toBe(
    "2: eth0    inet 10.0.1.2/24 brd 10.0.1.255 scope global eth0\\       valid_lft forever preferred_lft forever\n",
  );
  expect((await run(c, "ip -br a")).out).toBe(
    "lo               UNKNOWN        127.0.0.1/8 ::1/128 \neth0@if2         UP             10.0.1.2/24 \n",
  );
  expect((await run(c, "ip route")).out).toBe(
    "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.2 \ndefault via 10.0.1.1 dev eth0 \n",
  );
  expect((await run(c, "ip route get 10.0.2.2")).out).toBe("10.0.2.2 via 10.0.1.1 dev eth0 src 10.0.1.2 uid 0 \n    cache \n");
  await run(c, "ping -c 1 10.0.1.1");
  expect((await run(c, "ip neigh")).out).toBe("10.0.1.1 dev eth0 lladdr 0a:58:0a:00:01:01 REACHABLE \n");
  const b = keep(0, { image: "busybox" });
  expect((await run(b, "ip link show eth0")).out).toBe(
    `2: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue \n    link/ether ${mac} brd ff:ff:ff:ff:ff:ff\n`,
  );
  expect((await run(b, "route -n")).out).toContain("0.0.0.0         10.0.1.1        0.0.0.0         UG    0      0        0 eth0\n");
  expect((await run(b, "ifconfig eth0")).out).toContain("inet addr:10.0.1.2  Bcast:10.0.1.255  Mask:255.255.255.0\n");
  expect((await run(b, "ip link add dummy0 type dummy")).err).toBe("ip: RTNETLINK answers: Operation not permitted\n");
  const admin = keep(0, { caps: ["NET_ADMIN"] });
  expect((await run(admin, "ip route add 192.0.2.0/24 via 10.0.1.1 && ip route show 192.0.2.0/24")).out).toBe(
    "192.0.2.0/24 via 10.0.1.1 dev eth0 \n",
  );
  expect((await run(admin, "ip route add 192.0.2.0/24 via 10.0.1.1")).err).toBe("RTNETLINK answers: File exists\n");
  expect(await run(c, "ip -json addr")).toMatchObject({ code: 255, err: 'Option "-json" is unknown, try "ip -help".\n' });
});

it("ss and netstat list what is open, and whose it is", async () => {
  const server = start(1, ["sh", "-c", "sleep 100 | nc -l -p 7000 & nc -l -u -p 5353 & wait"]);
  await settle();
  expect((await run(server, "ss -tlnp")).out).toMatch(
    /^State {2}Recv-Q Send-Q Local Address:Port Peer Address:Port Process *\nLISTEN 0 {6}511 +\*:7000 +\*:\* +users:\(\("nc",pid=\d+\)\)\n$/,
  );
  const client = start(0, ["sh", "-c", "sleep 100 | nc 10.0.2.2 7000"]);
  // Both ends have it once the last acknowledgement has arrived.
  await vi.waitFor(async () => expect((await run(server, "ss -Htn state established | wc -l")).out).toBe("1\n"), { timeout: 5_000 });
  expect((await run(client, "ss -tn state established dport = 7000")).out).toMatch(/\n0 +0 +10\.0\.1\.2:\d+ +10\.0\.2\.2:7000 *\n$/);
  expect((await run(client, "ss -tn state established dport = 7001")).out).not.toContain("10.0.2.2");
  expect((await run(client, "netstat -tn")).out).toMatch(
    /^Active Internet connections \(w\/o servers\)\nProto Recv-Q Send-Q Local Address {11}Foreign Address {9}State {7}\ntcp {8}0 {6}0 10\.0\.1\.2:\d+ +10\.0\.2\.2:7000 +ESTABLISHED \n$/,
  );
  expect((await run(server, "netstat -ulnp")).out).toMatch(/\nudp {8}0 {6}0 :::5353 +:::\* +\d+\/nc\n$/);
  // The other container of the pod sees the socket, but not the process.
  expect((await run(keep(1), "ss -Htnp")).out).toMatch(/^ESTAB 0 +0 +10\.0\.2\.2:7000 +10\.0\.1\.2:\d+ *\n$/);
  expect((await run(client, "cat /proc/net/tcp")).out).toMatch(/\n {3}0: 0201000A:[0-9A-F]{4} 0202000A:1B58 01 00000000:00000000 /);
  expect(await run(client, "ss --xdp")).toMatchObject({ code: 255, err: expect.stringContaining("option --xdp is not supported") });
  client.kill(9);
  await settle();
  expect((await run(keep(0), "ss -tan | grep -c ESTAB")).out).toBe("0\n");
});

it("traceroute finds the router and the host, by UDP and by ICMP", async () => {
  const c = keep(0);
  for (const option of ["", "-I"]) {
    const r = await run(c, `traceroute -n -q 2 ${option} 10.0.2.2`);
    expect(r.out).toMatch(
      /^traceroute to 10\.0\.2\.2 \(10\.0\.2\.2\), 30 hops max, 46 byte packets\n 1 {2}10\.0\.1\.1 {2}[\d.]+ ms {2}[\d.]+ ms\n 2 {2}10\.0\.2\.2 {2}[\d.]+ ms {2}[\d.]+ ms\n$/,
    );
  }
  const gone = await run(c, "traceroute -n -q 1 -m 2 -w 1 192.0.2.1");
  expect(gone.out).toMatch(/\n 1 {2}10\.0\.1\.1 {2}[\d.]+ ms( !N)?\n/);
});

it("tcpdump prints a connection as it passes, filters, and writes files that it reads again", async () => {
  start(1, ["sh", "-c", "while true; do echo -n pong | nc -l -p 7000; done"]);
  const c = keep(0);
  const session = c.execute(["tcpdump", "-n", "-i", "eth0", "-w", "/tmp/x.pcap", "tcp", "port", "7000"]);
  const lines = c.execute(["tcpdump", "-nl", "port", "7000", "or", "arp"]);
  const live = collect(lines);
  await until(() => live.err.includes("listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n"));
  await run(c, "echo -n ping | nc -w 2 10.0.2.2 7000; ping -c 1 10.0.2.2");
  await until(() => /Flags \[F/.test(live.out));
  lines.kill(2);
  session.kill(2);
  await session.wait();
  await lines.wait();
  const text = live.out.replace(/^\d\d:\d\d:\d\d\.\d{6} /gm, "").replace(/10\.0\.1\.2\.\d+/g, "10.0.1.2.P");
  expect(text).toContain("ARP, Request who-has 10.0.1.1 tell 10.0.1.2, length 28\n");
  expect(text).toContain("ARP, Reply 10.0.1.1 is-at 0a:58:0a:00:01:01, length 28\n");
  expect(text).toMatch(
    /IP 10\.0\.1\.2\.P > 10\.0\.2\.2\.7000: Flags \[S\], seq \d+, win \d+, options \[mss 1460,sackOK,TS val \d+ ecr 0,nop,wscale \d+\], length 0\n/,
  );
  expect(text).toMatch(/IP 10\.0\.2\.2\.7000 > 10\.0\.1\.2\.P: Flags \[S\.\], seq \d+, ack \d+, win \d+, /);
  expect(text).toMatch(
    /IP 10\.0\.1\.2\.P > 10\.0\.2\.2\.7000: Flags \[P\.\], seq 1:5, ack 1, win \d+, options \[nop,nop,TS val \d+ ecr \d+\], length 4\n/,
  );
  expect(text).not.toContain("ICMP");
  expect(live.err).toMatch(/\n\d+ packets captured\n\d+ packets received by filter\n0 packets dropped by kernel\n$/);
  const again = await run(c, "tcpdump -nr /tmp/x.pcap 'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and dst port 7000'");
  expect(again.out.match(/Flags \[S\]/g)).toHaveLength(1);
  expect(again.out.match(/Flags \[F\.\]/g)).toHaveLength(1);
  expect(again.out).not.toContain("[P.]");
  expect((await run(c, "head -c 24 /tmp/x.pcap | xxd -p")).out).toBe("d4c3b2a102000400000000000000000000000400" + "01000000\n");
  expect((await run(c, "tcpdump 'port 80 host'")).err).toBe("tcpdump: can't parse filter expression: syntax error\n");
  expect((await run(c, "tcpdump -G 10")).err).toContain("invalid option -- 'G'");
  expect((await run(keep(0, { drop: ["NET_RAW"] }), "tcpdump -i eth0")).err).toContain(
    "You don't have permission to perform this capture on that device",
  );
});

it("tcpdump -i any names the device, and reads ICMP and DNS", async () => {
  const c = keep(0);
  const s = c.execute(["tcpdump", "-nvi", "any", "-c", "7"]);
  const got = collect(s);
  await until(() => got.err.includes("LINUX_SLL2"));
  await run(c, "ping -c 1 -s 8 10.0.2.2; ping -c 1 -s 8 127.0.0.1; nslookup -type=a web.default 10.0.2.2 & sleep 0.1; kill $!");
  await s.wait();
  expect(got.out).toMatch(
    /eth0 {2}Out IP \(tos 0x0, ttl 64, id \d+, offset 0, flags \[[^\]]*\], proto ICMP \(1\), length 36\)\n {4}10\.0\.1\.2 > 10\.0\.2\.2: ICMP echo request, id \d+, seq \d+, length 16\n/,
  );
  expect(got.out).toMatch(/lo {4}In {2}IP /);
});

it("top shows what runs and what it takes, and sorts", async () => {
  const c = start(0, ["sh", "-c", "while :; do :; done & sleep 100"], { image: "busybox" });
  await settle();
  const r = await run(c, "top -b -n 1 -d 1");
  const lines = r.out.split("\n");
  expect(lines[0]).toMatch(/^Mem: \d+K used, 16777216K free|^Mem: \d+K used, \d+K free, 0K shrd, 0K buff, 0K cached$/);
  expect(lines[1]).toMatch(/^CPU: +\d+% usr +0% sys +0% nic +\d+% idle/);
  expect(lines[3]).toBe("  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND");
  // The loop is on top.
  expect(lines[4]).toMatch(/^ +\d+ +1 root {5}S {6}512 +0% +[1-9]\d*% sh -c /);
  expect((await run(c, "nproc; grep -c processor /proc/cpuinfo")).out).toBe("8\n8\n");
  expect(Number((await run(c, "cut -d' ' -f1 /proc/loadavg")).out)).toBeGreaterThanOrEqual(0);
});
