// The internet as one network namespace: a card on the wire (172.30.0.3), client addresses 203.0.113.0/24 behind it, and a router that
// spreads packets for virtual addresses over the nodes. Its sockets are what real connections are joined to.

import type { Duplex } from "node:stream";
import type { Clock, Logger, Random } from "@podwire/base";
import type { WirePort } from "@podwire/bus";
import { NetNamespace, Nic, type TraceFilter, type TraceSink } from "@podwire/net";
import { VIP_PREFIX } from "../cloud/addresses.ts";
import type { Candidate } from "../router/candidates.ts";
import { FlowTable } from "../router/flows.ts";
import { routerOn } from "../router/router.ts";
import { clientAddress } from "./clients.ts";

export interface UdpEnd {
  send(bytes: Uint8Array, port: number, host: string): void;
  close(): void;
}

export interface Internet {
  /** A TCP connection from the client address of `remote`; resolves when established, rejects as node:net does. */
  connect(remote: string | undefined, host: string, port: number, timeoutMs: number): Promise<Duplex>;
  /** A UDP socket on the client address of `remote`; `onMessage` gets what comes back. */
  udp(remote: string | undefined, onMessage: (bytes: Uint8Array) => void): UdpEnd;
  armTrace(filter: TraceFilter): void;
  counters(): Record<string, unknown>;
  close(): void;
}

export interface InternetOptions {
  wire: WirePort;
  clock: Clock;
  random: Random;
  log: Logger;
  trace: TraceSink;
  /** Nodes that may take packets for a virtual address and port. */
  candidates(vip: string, port: number): readonly Candidate[];
}

export function openInternet(o: InternetOptions): Internet {
  const flows = new FlowTable(o.clock);
  const router = routerOn(o.wire, flows, o.candidates);
  const ns = new NetNamespace({ name: "root", process: "edge", clock: o.clock, random: o.random, log: o.log, trace: o.trace });
  const nic = new Nic(router);
  ns.addDevice(nic);
  ns.addAddress(nic, o.wire.address, 16);
  ns.addRoute({ to: `${VIP_PREFIX}0/24`, dev: nic.name });
  const known = new Set<string>();

  /** The client's address, which exists from its first use on. */
  function clientOf(remote: string | undefined): string {
    const address = clientAddress(remote);
    if (!known.has(address)) {
      known.add(address);
      ns.addAddress(nic, address, 32);
    }
    return address;
  }

  return {
    connect(remote, host, port, timeoutMs) {
      const socket = ns.tcpConnect({ host, port, localAddress: clientOf(remote), timeoutMs, allowHalfOpen: true });
      socket.setNoDelay(true);
      return new Promise((resolve, reject) => {
        socket.once("error", reject);
        socket.once("connect", () => {
          socket.removeListener("error", reject);
          resolve(socket);
        });
      });
    },
    udp(remote, onMessage) {
      const socket = ns.udpBind({ host: clientOf(remote) });
      socket.onMessage((bytes) => onMessage(bytes));
      return { send: (bytes, port, host) => socket.send(bytes, port, host), close: () => socket.close() };
    },
    armTrace: (filter) => ns.armTrace(filter),
    counters: () => ({ wire: o.wire.counters(), router: { ...router.counters, flows: flows.size }, namespace: ns.readCounters() }),
    close: () => {
      ns.close();
      o.wire.close();
    },
  };
}
