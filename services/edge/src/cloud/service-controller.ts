// The cloud provider's half of a Service: gives load balancers their address, keeps real listeners open for them, and writes both into
// the object: status.loadBalancer, and the annotation podwire.io/host-address.
import type { Service } from "@podwire/api";
import { type ApiClient, isNotFound, type Lister, type ReconcileResult, Resources, splitKey } from "@podwire/client";
import type { HostPorts } from "../listeners/host-ports.ts";
import { hostAddresses, portsBefore, wantedListeners } from "../listeners/wanted.ts";
import { addressFor, addressOf, isVip, wantsAddress } from "./addresses.ts";

export const HOST_ADDRESS_ANNOTATION = "podwire.io/host-address";

export type ServiceObject = Service & { metadata: { name: string }; [field: string]: any };

export interface ServiceControllerOptions {
  client: ApiClient;
  services: Lister<ServiceObject>;
  hostPorts: HostPorts;
  publicHost: string;
  nodePorts: boolean;
  publishedPorts: readonly number[];
}

/** Brings one Service in line; called for one key at a time. */
export function serviceReconciler(o: ServiceControllerOptions): (key: string) => Promise<ReconcileResult> {
  // Addresses handed out whose status is still on its way back to the cache.
  const given = new Map<string, string>();

  return async (key) => {
    const { namespace, name } = splitKey(key);
    const service = o.services.get(namespace, name);
    if (!service || service.metadata.deletionTimestamp !== undefined) {
      given.delete(key);
      await o.hostPorts.ensure(key, []);
      return undefined;
    }
    try {
      const withAddress = await settleAddress(key, namespace, name, service);
      await settleListeners(key, namespace, name, withAddress);
    } catch (e) {
      if (!isNotFound(e)) throw e; // It was deleted meanwhile; the next event closes its listeners.
    }
    return undefined;
  };

  async function settleAddress(key: string, namespace: string, name: string, service: ServiceObject): Promise<ServiceObject> {
    const has = addressOf(service);
    if (!wantsAddress(service)) {
      given.delete(key);
      if (!has) return service;
      await o.client.patch(
        Resources.services,
        namespace,
        name,
        "merge",
        { status: { loadBalancer: { ingress: null } } },
        { subresource: "status" },
      );
      return service;
    }
    const all = o.services.list().map((s) => withGiven(s, given));
    const address = addressFor(service, all);
    if (address === undefined) throw new Error("every address of the load balancer is taken");
    given.set(key, address);
    if (address !== has) {
      const ingress = [...(service.status?.loadBalancer?.ingress ?? []).filter((i) => !isVip(i.ip)), { ip: address, ipMode: "VIP" }];
      await o.client.patch(
        Resources.services,
        namespace,
        name,
        "merge",
        { status: { loadBalancer: { ingress } } },
        { subresource: "status" },
      );
    }
    return withGiven(service, given);
  }

  async function settleListeners(key: string, namespace: string, name: string, service: ServiceObject): Promise<void> {
    const annotation = service.metadata.annotations?.[HOST_ADDRESS_ANNOTATION];
    const options = { nodePorts: o.nodePorts, published: o.publishedPorts };
    const wanted = wantedListeners(service, options, portsBefore(service, annotation));
    const open = await o.hostPorts.ensure(key, wanted);
    const addresses = hostAddresses(service, open, o.publicHost);
    if (addresses === (annotation ?? "")) return;
    const value = addresses === "" ? null : addresses;
    await o.client.patch(Resources.services, namespace, name, "merge", { metadata: { annotations: { [HOST_ADDRESS_ANNOTATION]: value } } });
  }
}

/** The Service as it will be once the address we gave has come back. */
function withGiven(s: ServiceObject, given: ReadonlyMap<string, string>): ServiceObject {
  const ip = given.get(`${s.metadata.namespace}/${s.metadata.name}`);
  if (ip === undefined || addressOf(s) === ip || !wantsAddress(s)) return s;
  return { ...s, status: { ...s.status, loadBalancer: { ingress: [{ ip }] } } };
}
