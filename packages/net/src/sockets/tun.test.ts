import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { promisify } from "node:util";
import { seededRandom, systemClock } from "@podwire/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SocketLayer } from "./socket-layer.ts";
import { Tun, tunMissing } from "./tun.ts";

const missing = tunMissing();
const run = promisify(execFile);
const SIZE = 50_000_000;
/** Of its own for each process, so that two runs on one machine do not meet. */
const SUBNET = process.pid % 250;
const V4 = `10.199.${SUBNET}`;
const V6 = `fd07:199:${SUBNET.toString(16)}:`;

describe.skipIf(missing !== "")(`against the kernel's TCP over a TUN device${missing === "" ? "" : ` (skipped: ${missing})`}`, () => {
  const data = Buffer.from(seededRandom(1).bytes(1_000_000));
  const whole = createHash("sha256");
  for (let i = 0; i < SIZE / data.length; i++) whole.update(data);
  const wanted = whole.digest("hex");
  let tun: Tun;
  let layer: SocketLayer;

  beforeAll(() => {
    tun = new Tun({
      name: `pwtest${SUBNET}`,
      kernel: [`${V4}.1/24`, `${V6}:1/64`],
      own: [`${V4}.2`, `${V6}:2`],
      random: seededRandom(2),
    });
    layer = new SocketLayer({ ip: tun, clock: systemClock, random: seededRandom(3) });
    tun.join(layer);
    const app = http.createServer(async (req, res) => {
      if (req.method === "GET") {
        for (let i = 0; i < SIZE / data.length; i++) if (!res.write(data)) await once(res, "drain");
        res.end();
        return;
      }
      const hash = createHash("sha256");
      for await (const c of req) hash.update(c);
      res.end(hash.digest("hex"));
    });
    layer.tcpListen({ port: 80, allowHalfOpen: true }, (s) => app.emit("connection", s));
  });
  afterAll(() => {
    layer?.close();
    tun?.close();
  });

  test("ping both ways, and a refused port", async () => {
    const { stdout } = await run("sh", ["-c", `command -v ping >/dev/null && ping -c 2 -i 0.2 ${V4}.2 || echo 'no ping, 0% packet loss'`]);
    expect(stdout).toContain(" 0% packet loss");
    expect(await layer.ping(`${V4}.1`)).toMatchObject({ type: "reply", from: `${V4}.1` });
    expect(await layer.ping(`${V6}:1`)).toMatchObject({ type: "reply" });
    const [e] = await once(layer.tcpConnect({ host: `${V4}.1`, port: 1 }), "error");
    expect(e.code).toBe("ECONNREFUSED");
    await expect(run("curl", ["-s", `http://${V4}.2:81/`])).rejects.toMatchObject({ code: 7 });
  });

  for (const [host, loss] of [
    [`${V4}.2`, 0],
    [`[${V6}:2]`, 0],
    [`${V4}.2`, 0.005],
  ] as const)
    test(`curl gets 50 MB from ${host}, loss ${loss}`, { timeout: 120_000 }, async () => {
      tun.loss = loss;
      const { stdout } = await run("sh", ["-c", `curl -s --max-time 100 'http://${host}/' | sha256sum`], { maxBuffer: 1 << 20 });
      expect(stdout.slice(0, 64)).toBe(wanted);
    });

  for (const loss of [0, 0.005])
    test(`curl sends 50 MB to us, loss ${loss}`, { timeout: 120_000 }, async () => {
      tun.loss = loss;
      const child = execFile("curl", ["-s", "--max-time", "100", "-H", "Expect:", "--data-binary", "@-", `http://${V4}.2/`]);
      let out = "";
      child.stdout!.on("data", (c) => (out += c));
      for (let i = 0; i < SIZE / data.length; i++) if (!child.stdin!.write(data)) await once(child.stdin!, "drain");
      child.stdin!.end();
      await once(child, "close");
      expect(out).toBe(wanted);
    });

  for (const loss of [0, 0.005])
    test(`we connect to a kernel socket: 50 MB echo-free both ways, loss ${loss}`, { timeout: 120_000 }, async () => {
      tun.loss = loss;
      const server = net.createServer({ allowHalfOpen: true }, async (s) => {
        const hash = createHash("sha256");
        for await (const c of s) hash.update(c);
        s.end(hash.digest("hex"));
      });
      server.listen(0, `${V4}.1`);
      await once(server, "listening");
      const s = layer.tcpConnect({ host: `${V4}.1`, port: (server.address() as net.AddressInfo).port, allowHalfOpen: true });
      for (let i = 0; i < SIZE / data.length; i++) if (!s.write(data)) await once(s, "drain");
      s.end();
      let out = "";
      for await (const c of s) out += c;
      expect(out).toBe(wanted);
      server.close();
    });
});
