// The gRPC probe: grpc.health.v1.Health/Check over HTTP/2 (KEP-2727). The two messages are small enough to write by hand.
import http2 from "node:http2";
import type { Clock } from "@podwire/base";
import type { NetStack } from "@podwire/runtime";
import { goDialText, type ProbeOutcome } from "./probe.ts";

const STATUS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

export function checkGrpc(
  o: { host: string; port: number; service: string; timeoutMs: number },
  stack: NetStack,
  clock: Clock,
): Promise<ProbeOutcome> {
  const address = `${o.host}:${o.port}`;
  return new Promise((resolve) => {
    let session: http2.ClientHttp2Session | undefined;
    let done = false;
    const finish = (r: ProbeOutcome) => {
      if (done) return;
      done = true;
      timer.cancel();
      session?.destroy();
      socket?.destroy();
      resolve(r);
    };
    const timer = clock.after(o.timeoutMs, () =>
      finish({
        result: "failure",
        output: `timeout: failed to connect service "${address}" within ${o.timeoutMs / 1000}s: context deadline exceeded`,
      }),
    );
    const failed = (e: unknown) =>
      finish({
        result: "failure",
        output: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${goDialText(e)}`,
      });
    let socket: ReturnType<NetStack["tcpConnect"]> | undefined;
    try {
      socket = stack.tcpConnect({ host: o.host, port: o.port, timeoutMs: o.timeoutMs });
    } catch (e) {
      return failed(e);
    }
    socket.once("error", (e) =>
      finish({
        result: "failure",
        output: `timeout: failed to connect service "${address}" within ${o.timeoutMs / 1000}s: connection error: desc = "transport: Error while dialing: dial tcp ${address}: ${goDialText(e)}"`,
      }),
    );
    socket.once("connect", () => {
      session = http2.connect(`http://${address}`, { createConnection: () => socket as never });
      session.on("error", failed);
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.health.v1.Health/Check",
        "content-type": "application/grpc",
        te: "trailers",
        "user-agent": "kube-probe/1.34 grpc-go",
      });
      const parts: Buffer[] = [];
      stream.on("data", (d: Buffer) => void parts.push(d));
      stream.on("error", failed);
      let trailers: http2.IncomingHttpHeaders = {};
      stream.on("response", (h) => {
        if (h["grpc-status"] !== undefined) trailers = h;
      });
      stream.on("trailers", (h) => {
        trailers = h;
      });
      stream.on("end", () => {
        const status = Number(trailers["grpc-status"] ?? 0);
        if (status === 5)
          return finish({
            result: "failure",
            output: `error: health rpc failed: rpc error: code = NotFound desc = ${trailers["grpc-message"] ?? ""}`,
          });
        if (status !== 0)
          return finish({
            result: "failure",
            output: `error: health rpc failed: rpc error: code = ${status} desc = ${trailers["grpc-message"] ?? ""}`,
          });
        const message = Buffer.concat(parts).subarray(5);
        const serving = message.length >= 2 && message[0] === 8 ? (message[1] as number) : 0;
        if (serving === 1) finish({ result: "success", output: "service healthy" });
        else finish({ result: "failure", output: `service unhealthy (responded with "${STATUS[serving] ?? serving}")` });
      });
      const name = Buffer.from(o.service, "utf8");
      const body = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([10, name.length]), name]);
      const frame = Buffer.alloc(5);
      frame.writeUInt32BE(body.length, 1);
      stream.end(Buffer.concat([frame, body]));
    });
  });
}
