// Admission: plugins that may change an object and then plugins that may refuse it, in Kubernetes' order
// (k8s.io/kubernetes/pkg/kubeapiserver/options/plugins.go). Invariant: no plugin writes to the store before the request is admitted,
// but for quota, which counts.
import type { KubeObject, ResourceInfo } from "@podwire/api";
import type { AuditNotes } from "../audit/audit.ts";
import type { Api, User } from "../call.ts";
import { Reinvocation } from "./reinvocation.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface Attributes {
  readonly operation: Operation;
  readonly info: ResourceInfo;
  /** apiVersion and kind of `object`, which for a subresource may differ from the resource's (Scale, Binding). */
  readonly kind: { group: string; version: string; kind: string };
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** What is to be stored; undefined for DELETE. Mutating plugins change it in place or replace it. */
  object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  /** CreateOptions, UpdateOptions or DeleteOptions as an object; a CONNECT has none. */
  readonly options: Record<string, unknown> | undefined;
  readonly dryRun: boolean;
  readonly user: User;
  readonly warnings: string[];
  /** Takes annotations for the audit event; absent when the request is not recorded. */
  readonly notes?: AuditNotes | undefined;
  /** Called when the request fails after this plugin let it pass, or was a dry run. */
  readonly undo: (() => void)[];
  /** The request as it came, when this is its form in an equivalent version (see equivalents.ts). */
  readonly requested?: Attributes;
  /** The second round of mutating plugins; made by the chain. */
  reinvocation?: Reinvocation;
}

export interface AdmissionPlugin {
  readonly name: string;
  readonly operations: readonly Operation[];
  admit?(a: Attributes): void | Promise<void>;
  validate?(a: Attributes): void | Promise<void>;
}

export class AdmissionChain {
  readonly #admit: AdmissionPlugin[];
  readonly #validate: AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#admit = plugins.filter((p) => p.admit);
    this.#validate = plugins.filter((p) => p.validate);
  }

  /** What a webhook or policy changed is shown to the mutating plugins once more. */
  async admit(a: Attributes): Promise<void> {
    a.reinvocation = new Reinvocation();
    await this.#round(a);
    if (!a.reinvocation.wanted) return;
    a.reinvocation.again = true;
    await this.#round(a);
  }

  async #round(a: Attributes): Promise<void> {
    for (const p of this.#admit) {
      if (!p.operations.includes(a.operation)) continue;
      const done = p.admit?.(a);
      if (done) await done;
    }
  }

  async validate(a: Attributes): Promise<void> {
    for (const p of this.#validate) {
      if (!p.operations.includes(a.operation)) continue;
      const done = p.validate?.(a);
      if (done) await done;
    }
  }
}

export type PluginFactory = (api: Api) => AdmissionPlugin;
