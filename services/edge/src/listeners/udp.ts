// A real UDP socket whose datagrams become datagrams of an internet client to a Service; answers find their way back by the client's
// port, which stays its own for as long as there is traffic (a NAT's idea of a session).
import { createSocket, type RemoteInfo } from "node:dgram";
import type { Clock } from "@podwire/base";
import type { Internet, UdpEnd } from "../internet/internet.ts";
import type { OpenListener, Reach } from "./host-ports.ts";

/** Remote ends remembered by one listener; when full, the one that was silent longest is forgotten. */
export const MAX_SESSIONS = 1_024;
const IDLE_MS = 60_000;

interface Session {
  end: UdpEnd;
  address: string;
  port: number;
  seenMs: number;
}

export function openUdp(host: string, port: number, internet: Internet, reach: Reach, clock: Clock): Promise<OpenListener> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const sessions = new Map<string, Session>();

  function session(from: RemoteInfo): Session | undefined {
    const key = `${from.address} ${from.port}`;
    const known = sessions.get(key);
    if (known) {
      known.seenMs = clock.monotonicMs();
      sessions.delete(key); // To the end: the map's order is that of last use.
      sessions.set(key, known);
      return known;
    }
    const to = reach(from.address);
    if (!to) return undefined;
    if (sessions.size >= MAX_SESSIONS) forget(sessions.keys().next().value as string);
    const end = internet.udp(from.address, (bytes) => socket.send(bytes, from.port, from.address, () => undefined));
    const made: Session = { end, address: to.address, port: to.port, seenMs: clock.monotonicMs() };
    sessions.set(key, made);
    return made;
  }

  function forget(key: string): void {
    sessions.get(key)?.end.close();
    sessions.delete(key);
  }

  socket.on("message", (bytes, from) => {
    const s = session(from);
    s?.end.send(bytes, s.port, s.address);
  });
  const sweep = clock.every(
    IDLE_MS / 4,
    () => {
      for (const [key, s] of sessions) if (clock.monotonicMs() - s.seenMs > IDLE_MS) forget(key);
    },
    { unref: true },
  );

  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeListener("error", reject);
      socket.on("error", () => undefined); // An ICMP error to an answer: the client is gone.
      resolve({
        port: socket.address().port,
        connections: () => sessions.size,
        close: () => {
          sweep.cancel();
          for (const key of [...sessions.keys()]) forget(key);
          socket.close();
        },
      });
    });
  });
}
