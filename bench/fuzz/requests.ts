// Seeded noise for what the apiserver itself reads of a request: paths, options, Accept headers, continue tokens, audit and encryption files.
// For bench/fuzz/api.ts.
import { registry } from "@podwire/api";
import { mutate, type Target } from "../../packages/api/src/fuzz.ts";
import { AuditPolicy } from "../../services/apiserver/src/audit/policy.ts";
import { negotiate } from "../../services/apiserver/src/request/accept.ts";
import { listOptions, writeOptions } from "../../services/apiserver/src/request/options.ts";
import { parseRequest } from "../../services/apiserver/src/request/request-info.ts";
import { Catalogue } from "../../services/apiserver/src/resources/catalogue.ts";
import { route } from "../../services/apiserver/src/routing.ts";
import { EncryptionConfiguration } from "../../services/apiserver/src/storage/encryption/providers.ts";
import { decodeContinue } from "../../services/apiserver/src/verbs/continue-token.ts";

const catalogue = new Catalogue();
const pods = registry.byResource("", "v1", "pods") as NonNullable<ReturnType<typeof registry.byResource>>;
const PATHS = [
  "/api/v1/namespaces/default/pods/p/log?container=c&follow=1&tailLines=10",
  "/apis/apps/v1/watch/deployments?labelSelector=a%3Db&timeoutSeconds=5",
  "/api/v1/namespaces/%64efault/services/https:web:443/proxy/a/../b?x=%zz",
  "/apis/stable.example.com/v1/namespaces/n/widgets/w/scale?dryRun=All&fieldManager=m&force=true",
];
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const TOKEN = Buffer.from('{"v":"meta.k8s.io/v1","rv":12,"start":"default/p\\u0000"}').toString("base64url");
const ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/vnd.kubernetes.protobuf;q=0.5,*/*;q=0.1";

export const REQUEST_TARGETS: Record<string, Target> = {
  paths: (r) => {
    const method = METHODS[r.below(METHODS.length)] as string;
    const info = parseRequest(method, mutate(r, PATHS[r.below(PATHS.length)] as string));
    route(method, info, catalogue);
    listOptions(info.query, pods, r.below(2) === 0);
    writeOptions(info.query, "PatchOptions", r.below(2) === 0);
  },
  accept: (r) => void negotiate(mutate(r, ACCEPT)),
  continue: (r) =>
    void decodeContinue(
      r.below(2) === 0 ? mutate(r, TOKEN) : Buffer.from(mutate(r, '{"v":"meta.k8s.io/v1","rv":12,"start":"a"}')).toString("base64url"),
    ),
  audit: (r) =>
    void new AuditPolicy(
      mutate(r, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{group: '', resources: [pods]}]}]\n"),
    ),
  encryption: (r) =>
    void new EncryptionConfiguration(
      mutate(
        r,
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: [secrets], providers: [{aescbc: {keys: [{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}]}]\n",
      ),
    ),
};
