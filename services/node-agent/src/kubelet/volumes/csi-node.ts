// CSINode: which CSI drivers this node has and how many volumes each may attach (the kubelet's nodeinfomanager and the
// node-driver-registrar). Invariant: drivers that somebody else has registered stay.
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import { CSI_DRIVER } from "@podwire/bus";
import { type ApiClient, isAlreadyExists, isNotFound, type KubeObject, Resources } from "@podwire/client";

export interface CsiNodeOptions {
  client: ApiClient;
  clock: Clock;
  log: Logger;
  nodeName: string;
  nodeUid: string;
  attachLimit: number;
  signal: AbortSignal;
}

const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;

/** Writes it until the API takes it, or the node stops. */
export async function registerCsiNode(o: CsiNodeOptions): Promise<void> {
  for (let wait = RETRY_FIRST_MS; !o.signal.aborted; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    try {
      return await write(o);
    } catch (e) {
      o.log.debug({ reason: reasonOf(e) }, "the CSINode was not written yet");
      await o.clock.sleep(wait, o.signal).catch(() => undefined);
    }
  }
}

async function write(o: CsiNodeOptions): Promise<void> {
  const driver = { name: CSI_DRIVER, nodeID: o.nodeName, topologyKeys: null, allocatable: { count: o.attachLimit } };
  const ownerReferences = [{ apiVersion: "v1", kind: "Node", name: o.nodeName, uid: o.nodeUid }];
  let live: KubeObject;
  try {
    live = await o.client.get(Resources.csiNodes, "", o.nodeName);
  } catch (e) {
    if (!isNotFound(e)) throw e;
    try {
      await o.client.create(Resources.csiNodes, {
        metadata: { name: o.nodeName, ownerReferences },
        spec: { drivers: [driver] },
      } as KubeObject);
      return;
    } catch (failed) {
      if (!isAlreadyExists(failed)) throw failed;
      live = await o.client.get(Resources.csiNodes, "", o.nodeName);
    }
  }
  const drivers = live["spec"]?.drivers ?? [];
  const mine = drivers.find((d: any) => d.name === CSI_DRIVER);
  if (mine?.allocatable?.count === o.attachLimit && mine.nodeID === o.nodeName && live.metadata.ownerReferences?.[0]?.uid === o.nodeUid)
    return;
  // A driver's entry cannot be changed, only taken away and given again.
  const others = drivers.filter((d: any) => d.name !== CSI_DRIVER);
  const metadata = { ...live.metadata, ownerReferences };
  const without = mine
    ? await o.client.update(Resources.csiNodes, { ...live, metadata, spec: { drivers: others } })
    : { ...live, metadata };
  await o.client.update(Resources.csiNodes, { ...without, spec: { drivers: [...others, driver] } });
}
