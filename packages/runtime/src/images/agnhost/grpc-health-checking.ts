// agnhost grpc-health-checking: grpc.health.v1.Health/Check over plain HTTP/2, with an HTTP server that switches it on and off.
// Specification: gRPC over HTTP/2; the health checking protocol (messages of one field each, written by hand).
import http2 from "node:http2";
import type { Process } from "../../kernel/process.ts";
import { log, parseFlags } from "./go.ts";
import { serve, serveMux } from "./http-server.ts";

const SERVING = 1;
const NOT_SERVING = 2;
const NOT_FOUND = "5";

export async function grpcHealthChecking(p: Process, argv: readonly string[]): Promise<number> {
  const { flags } = parseFlags(argv, {
    port: { kind: "int", default: 5000 },
    "http-port": { kind: "int", default: 8080 },
    service: { kind: "string", default: "" },
    "delay-unhealthy-sec": { kind: "int", default: -1 },
  });
  const startedMs = p.clock.nowMs();
  const delay = flags["delay-unhealthy-sec"] as number;
  let forced: number | undefined;
  const status = () => forced ?? (delay >= 0 && p.clock.nowMs() - startedMs > delay * 1000 ? NOT_SERVING : SERVING);
  log(p, `Http server starting to listen on :${flags["http-port"]}`);
  serve(
    p,
    flags["http-port"] as number,
    serveMux({
      "/make-not-serving": () => {
        log(p, "Mark as unhealthy");
        forced = NOT_SERVING;
      },
      "/make-serving": () => {
        log(p, "Mark as healthy");
        forced = SERVING;
      },
    }),
  );
  log(p, `gRPC server starting to listen on :${flags["port"]}`);
  const server = http2.createServer();
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    const chunks: Buffer[] = [];
    stream.on("data", (c: Buffer) => chunks.push(c));
    stream.on("end", () => {
      if (headers[":path"] !== "/grpc.health.v1.Health/Check")
        return stream.respond(
          { ":status": 200, "content-type": "application/grpc", "grpc-status": "12", "grpc-message": "unknown method" },
          { endStream: true },
        );
      log(
        p,
        `Serving the Check request for health check, started at ${new Date(startedMs).toISOString().replace("T", " ").replace("Z", "")} +0000 UTC`,
      );
      if (serviceOf(Buffer.concat(chunks)) !== flags["service"])
        return stream.respond(
          { ":status": 200, "content-type": "application/grpc", "grpc-status": NOT_FOUND, "grpc-message": "unknown service" },
          { endStream: true },
        );
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "" }));
      // Length-prefixed message {status = 1}.
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status()]));
    });
  });
  p.net.listen(p, { port: flags["port"] as number }, (s) => {
    s.on("error", () => s.destroy());
    server.emit("connection", s);
  });
  await p.block(() => () => undefined);
  return 0;
}

/** Field 1 of HealthCheckRequest behind the five bytes of a gRPC frame. */
function serviceOf(frame: Buffer): string {
  if (frame.length < 7 || frame[5] !== 0x0a) return "";
  return frame.subarray(7, 7 + (frame[6] as number)).toString("utf8");
}
