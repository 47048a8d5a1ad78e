// matchPolicy Equivalent: a rule for one version of a resource also concerns requests by another that is stored in the same place
// (Event of both groups, HorizontalPodAutoscaler v1 and v2, the versions of a custom resource), which it then sees converted
// (apiserver/pkg/admission/plugin/webhook/generic, policy/matching). Invariant: the request's own version goes before any other, and
// earlier rules before later ones; an object is converted once for each version between two changes of it.
import type { KubeObject, ResourceInfo } from "@podwire/api";
import type { Api } from "../call.ts";
import type { Served } from "../resources/catalogue.ts";
import type { Attributes } from "./chain.ts";
import { type Rule, ruleMatches } from "./matching.ts";

/** The resource by which a rule matched: the request's own, or an equivalent one. */
export type Matched = "own" | Served;

/** Undefined when no rule concerns the request. */
export function matchedBy(api: Api, rules: readonly Rule[], policy: string | undefined, a: Attributes): Matched | undefined {
  if (rules.some((r) => ruleMatches(r, a))) return "own";
  if (policy !== "Equivalent") return undefined;
  const others = equivalentsOf(api, a);
  if (others.length === 0) return undefined;
  for (const r of rules) {
    const found = others.find((s) => ruleMatches(r, a, s.info));
    if (found) return found;
  }
  return undefined;
}

function equivalentsOf(api: Api, a: Attributes): readonly Served[] {
  const own = api.catalogue.find(a.info.group, a.info.version, a.info.resource);
  if (!own) return [];
  return api.catalogue.sharing(own).filter((s) => a.subresource === "" || s.info.subresources.some((sub) => sub.name === a.subresource));
}

/** A request in the versions in which webhooks and policies want to see it. */
export class Forms {
  readonly #api: Api;
  readonly #a: Attributes;
  readonly #made = new Map<Served, { object: KubeObject | undefined; form: Promise<Attributes> }>();

  constructor(api: Api, a: Attributes) {
    this.#api = api;
    this.#a = a;
  }

  /** The request as `matched` sees it; for its own resource the attributes themselves. Throws what a conversion webhook answers. */
  async in(matched: Matched): Promise<Attributes> {
    const a = this.#a;
    if (matched === "own") return a;
    const made = this.#made.get(matched);
    if (made && made.object === a.object) return made.form;
    const form = this.#convert(matched);
    this.#made.set(matched, { object: a.object, form });
    return form;
  }

  /** Takes over what was changed in another form of the request. */
  async take(matched: Matched, object: KubeObject): Promise<void> {
    this.#made.clear();
    const own = this.#own();
    this.#a.object = matched === "own" || !own ? object : await converted(object, matched, own);
  }

  async #convert(to: Served): Promise<Attributes> {
    const a = this.#a;
    const own = this.#own();
    const sub = to.info.subresources.find((s) => s.name === a.subresource);
    const foreign = a.subresource !== "" && sub?.foreign === true;
    const convert = async (o: KubeObject | undefined) => (o === undefined || !own || foreign ? o : converted(o, own, to));
    const [object, oldObject] = [await convert(a.object), await convert(a.oldObject)];
    const { group, version, kind } = foreign ? sub : to.info;
    return { ...a, info: to.info, kind: { group, version, kind }, object, oldObject, requested: a };
  }

  #own(): Served | undefined {
    const { group, version, resource }: ResourceInfo = this.#a.info;
    return this.#api.catalogue.find(group, version, resource);
  }
}

async function converted(o: KubeObject, from: Served, to: Served): Promise<KubeObject> {
  const copy: KubeObject = JSON.parse(JSON.stringify(o));
  return to.toServed(JSON.parse(JSON.stringify(await from.toStorage(copy))));
}
