// The edge: the world outside the cluster. Configuration and wiring; what it does stands in cloud/ (the load balancer's control),
// router/ (which node gets a packet), csi/ and storage/ (the cloud's disks), listeners/ (real sockets) and internet/ (their counterparts on the wire).
import { join } from "node:path";
import type { EndpointSlice, Node } from "@podwire/api";
import { oncePerMinute, PodwireError } from "@podwire/base";
import { followTraceFilters, openWire, reportTraces, runComponent } from "@podwire/bus";
import { InformerSet, type KubeObject, natsClient, objectKey, Resources, runController } from "@podwire/client";
import { type ServiceObject, serviceReconciler } from "./cloud/service-controller.ts";
import { edgeFlags, portsOf } from "./config.ts";
import { startStorageDriver } from "./csi/driver.ts";
import { openInternet } from "./internet/internet.ts";
import { HostPorts } from "./listeners/host-ports.ts";
import { reachTable } from "./router/reach.ts";

await runComponent({
  component: "edge",
  flags: edgeFlags,
  argv: process.argv.slice(2),
  env: process.env,
  async start({ bus, clock, random, log, identity, stateDir }, config) {
    if (!identity.underlay) throw new PodwireError("the identity file names no underlay address");
    const client = natsClient(bus, { clock, fieldManager: "podwire-edge" });
    const informers = new InformerSet({ client, clock, random, log, bus });
    const services = informers.of<ServiceObject>(Resources.services);
    const nodes = informers.of<Node & KubeObject>(Resources.nodes);
    const slices = informers.of<EndpointSlice & KubeObject>(Resources.endpointSlices);
    const reach = reachTable({ services, nodes, slices, random });
    const wire = openWire(bus, { address: identity.underlay, clock, random, log });
    const internet = openInternet({ wire, clock, random, log, trace: reportTraces(bus, clock), candidates: reach.candidates });
    followTraceFilters(bus, oncePerMinute(log, clock), internet.armTrace);
    const host = config["listen-address"];
    const hostPorts = new HostPorts({ host, internet, clock, log, reach: reach.of });
    const controller = runController({
      name: "service-load-balancer",
      clock,
      log,
      informers: [services, nodes, slices],
      workers: 1, // Addresses are handed out one at a time.
      reconcile: serviceReconciler({
        client,
        services: services.lister,
        hostPorts,
        publicHost: config["public-host"] ?? host,
        nodePorts: config["node-port-forward"],
        publishedPorts: portsOf(config["host-ports"]),
      }),
    });
    const enqueue = (o: KubeObject) => controller.queue.add(objectKey(o));
    services.handle({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    const storage = startStorageDriver({ bus, client, informers, clock, random, log, folder: join(stateDir, "volumes") });
    void storage.start();
    void informers.start();
    if (config["load-balancers"]) void controller.start();
    return {
      health: () => (services.synced ? "ok" : "the list of Services has not come yet"),
      counters: () => ({
        ...internet.counters(),
        host: hostPorts.counters(),
        storage: storage.counters(),
        informers: informers.counters(),
      }),
      async stop() {
        hostPorts.close();
        await controller.stop();
        await storage.stop();
        informers.stop();
        internet.close();
      },
    };
  },
});
