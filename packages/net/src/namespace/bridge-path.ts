// Bridged IP packets through the hooks (br_netfilter): without it the answer of a pod to a pod of the same bridge, which asked by
// ClusterIP, would pass conntrack by and keep its untranslated source.
// Invariant: a packet that goes on bridging has its Ethernet header back at p.start; one whose destination was translated goes on to
// routing instead.
import { Ethernet } from "../codec/ethernet.ts";
import type { Bridge, BridgeNetfilter } from "../devices/bridge.ts";
import type { Device } from "../devices/device.ts";
import type { Packet } from "../packet.ts";
import { Flow, readFlow } from "./flow.ts";
import type { NetNamespace } from "./namespace.ts";

export class BridgePath implements BridgeNetfilter {
  private readonly ns: NetNamespace;

  constructor(ns: NetNamespace) {
    this.ns = ns;
  }

  bridgePrerouting(bridge: Bridge, port: Device, p: Packet): boolean {
    const { ns } = this;
    if (ns.netfilterIfAny === undefined) return true;
    const f = new Flow();
    p.pull(Ethernet.HEADER);
    const fault = readFlow(p, f, true);
    if (fault !== undefined) {
      ns.path.drop(p, undefined, fault, port.name);
      return false;
    }
    // Put together it may be too long for the bridge; it goes on by routing, which cuts it again.
    if (f.fragmentOffset !== 0 || f.moreFragments) {
      const whole = ns.reassembly.add(p, f);
      p.release();
      if (whole !== undefined) ns.path.receive(bridge, whole, port.name, true);
      return false;
    }
    if (ns.tracing.armed) ns.tracing.pick(p, f);
    const at = { in: bridge.name, out: "", physIn: port.name, physOut: "" };
    const { d0, d1, d2, d3 } = f;
    if (!ns.path.hook("prerouting", p, f, at)) return false;
    if (f.d3 !== d3 || f.d2 !== d2 || f.d1 !== d1 || f.d0 !== d0) {
      ns.path.route(bridge, p, f, at);
      return false;
    }
    p.start -= Ethernet.HEADER;
    p.ct = f;
    return true;
  }

  bridgeFlooded(p: Packet): void {
    if (p.ct instanceof Flow) this.ns.netfilterIfAny?.conntrack.release(p.ct);
    p.ct = null;
  }

  bridgeForward(bridge: Bridge, from: Device, to: Device, p: Packet): boolean {
    const { ns } = this;
    if (ns.netfilterIfAny === undefined) return true;
    let f = p.ct instanceof Flow ? p.ct : undefined;
    p.ct = null;
    p.pull(Ethernet.HEADER);
    if (f === undefined) {
      // A flooded copy: looked at on its own, without a connection.
      f = new Flow();
      const fault = readFlow(p, f, false);
      if (fault !== undefined) {
        ns.path.drop(p, undefined, fault, bridge.name);
        return false;
      }
    }
    const at = { in: bridge.name, out: bridge.name, physIn: from.name, physOut: to.name };
    if (!ns.path.hook("forward", p, f, at) || !ns.path.hook("postrouting", p, f, at)) return false;
    p.start -= Ethernet.HEADER;
    p.mark = 0;
    return true;
  }
}
