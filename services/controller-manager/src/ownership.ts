// Which objects an owner controls: those that name it as controller and match its selector; orphans that match are adopted,
// own ones that stopped matching are released (controller_ref_manager). Invariant: nobody else's objects are touched, and
// nothing is adopted by an owner that is being deleted.
import { labelSelector } from "@podwire/api";
import {
  type ApiClient,
  adoptPatch,
  controllerOf,
  type Informer,
  isInvalid,
  isNotFound,
  type KubeObject,
  type ResourceRef,
  releasePatch,
} from "@podwire/client";
import { isTerminating } from "./pods/status.ts";

/** Index of objects by "namespace/uid of the controller"; orphans have an empty uid. */
export const BY_OWNER = "byOwner";

export function indexByOwner(informer: Informer<any>): void {
  informer.addIndex(BY_OWNER, (o: KubeObject) => [`${o.metadata.namespace ?? ""}/${controllerOf(o)?.uid ?? ""}`]);
}

export interface Claim {
  /** Controlled and matching. */
  owned: KubeObject[];
  adopt: KubeObject[];
  release: KubeObject[];
}

export interface Matcher {
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
}

/** Decides over candidates: the objects controlled by `owner` and the orphans of its namespace. */
export function planClaim(
  owner: KubeObject,
  selector: Matcher,
  candidates: readonly KubeObject[],
  mayAdopt: (o: KubeObject) => boolean = () => true,
): Claim {
  const claim: Claim = { owned: [], adopt: [], release: [] };
  for (const o of candidates) {
    const controller = controllerOf(o);
    const matches = selector.matches(o.metadata.labels);
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) claim.owned.push(o);
      else if (!isTerminating(owner)) claim.release.push(o);
    } else if (matches && !isTerminating(owner) && !isTerminating(o) && mayAdopt(o)) claim.adopt.push(o);
  }
  return claim;
}

/** Candidates out of the cache, without a scan over other owners' objects. */
export function candidatesOf(informer: Informer<any>, owner: KubeObject): KubeObject[] {
  const namespace = owner.metadata.namespace ?? "";
  return [
    ...informer.lister.byIndex(BY_OWNER, `${namespace}/${owner.metadata.uid}`),
    ...informer.lister.byIndex(BY_OWNER, `${namespace}/`),
  ];
}

/** Carries out a claim; returns what is owned afterwards. Looks at the live owner before the first adoption. */
export async function applyClaim(
  client: ApiClient,
  owner: KubeObject,
  ownerRef: ResourceRef,
  ref: ResourceRef,
  claim: Claim,
): Promise<KubeObject[]> {
  const owned = [...claim.owned];
  if (claim.adopt.length > 0) {
    const live = await client.get(ownerRef, owner.metadata.namespace ?? "", owner.metadata.name);
    if (live.metadata.uid !== owner.metadata.uid)
      throw new Error(
        `original ${ownerRef.kind} ${owner.metadata.namespace}/${owner.metadata.name} is gone: got uid ${live.metadata.uid}, wanted ${owner.metadata.uid}`,
      );
    if (!isTerminating(live))
      for (const o of claim.adopt) {
        try {
          owned.push(
            await client.patch(
              ref,
              o.metadata.namespace ?? "",
              o.metadata.name,
              "strategic",
              adoptPatch(owner, ownerRef, o.metadata.uid ?? ""),
            ),
          );
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }
  }
  for (const o of claim.release) {
    try {
      await client.patch(
        ref,
        o.metadata.namespace ?? "",
        o.metadata.name,
        "strategic",
        releasePatch(owner.metadata.uid ?? "", o.metadata.uid ?? ""),
      );
    } catch (e) {
      // Gone, or somebody else replaced it: either way it is no longer ours.
      if (!isNotFound(e) && !isInvalid(e)) throw e;
    }
  }
  return owned;
}

/** Compiled selectors by object, so that a selector is parsed once a version of its owner. */
export function selectorCache() {
  const cache = new WeakMap<object, Matcher>();
  return (selector: object | undefined): Matcher => {
    if (selector === undefined) return labelSelector(undefined);
    let m = cache.get(selector);
    if (!m) cache.set(selector, (m = labelSelector(selector as never)));
    return m;
  };
}
