// Rules of pods that no recorded transcript holds, by field, in the words of core/validation.
import { describe, expect, test } from "vitest";
import { applyDefaults, decodeBody, prepareForCreate, registry, validateCreate } from "../index.ts";

const PODS = registry.byResource("", "v1", "pods")!;
const DEPLOYMENTS = registry.byResource("apps", "v1", "deployments")!;

/** "field: type: detail" of everything that is wrong with a pod of this spec; `c` is its one container. */
function wrong(o: { c?: object; spec?: object; annotations?: Record<string, string> }): string[] {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n", ...(o.annotations ? { annotations: o.annotations } : {}) },
    spec: { containers: [{ name: "c", image: "i", ...o.c }], ...o.spec },
  };
  applyDefaults(PODS, pod);
  prepareForCreate(PODS, pod, { nowMs: 0 });
  return validateCreate(PODS, pod).map((e) => `${e.field}: ${e.type.replace("FieldValue", "")}: ${e.detail}`);
}

describe("containers", () => {
  test("envFrom names its sources, or the list", () => {
    expect(wrong({ c: { envFrom: [{}, { configMapRef: { name: "A" } }, { secretRef: { name: "x-" } }] } })).toEqual([
      "spec.containers[0].envFrom: Invalid: must specify one of: `configMapRef` or `secretRef`",
      expect.stringMatching(/^spec\.containers\[0\]\.envFrom\[1\]\.configMapRef\.name: Invalid: a lowercase RFC 1123 subdomain/),
    ]);
  });

  test("env: names of keys' objects, subscripts, divisors by kind of resource", () => {
    const env = (valueFrom: object) => wrong({ c: { env: [{ name: "E", valueFrom }] } });
    expect(env({ secretKeyRef: { key: "k" } })).toEqual([
      expect.stringMatching(/^spec\.containers\[0\]\.env\[0\]\.valueFrom\.secretKeyRef\.name: Invalid: a lowercase RFC 1123 subdomain/),
    ]);
    expect(env({ fieldRef: { fieldPath: "metadata.labels['a/b/c']" } })).toEqual([
      expect.stringMatching(/^spec\.containers\[0\]\.env\[0\]\.valueFrom\.fieldRef: Invalid: a qualified name must/),
    ]);
    expect(env({ fieldRef: { fieldPath: "metadata.labels['a/b']" } })).toEqual([]);
    expect(env({ resourceFieldRef: { resource: "limits.ephemeral-storage", divisor: "2" } })).toEqual([
      "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid: only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the local ephemeral storage resource",
    ]);
  });

  test("mounts and devices may not meet; paths below a mount are named by the list", () => {
    const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "x" } }];
    const c = { volumeMounts: [{ name: "v", mountPath: "/a" }], volumeDevices: [{ name: "v", devicePath: "/a" }] };
    expect(wrong({ c, spec: { volumes } })).toEqual([
      "spec.containers[0].volumeMounts[0].name: Invalid: must not already exist in volumeDevices",
      "spec.containers[0].volumeMounts[0].mountPath: Invalid: must not already exist as a path in volumeDevices",
      "spec.containers[0].volumeDevices[0].name: Invalid: must not already exist in volumeMounts",
      "spec.containers[0].volumeDevices[0].devicePath: Invalid: must not already exist as a path in volumeMounts",
    ]);
    const mounts = [{ name: "v", mountPath: "/a", subPath: "/x", mountPropagation: "Bidirectional", recursiveReadOnly: "Enabled" }];
    expect(wrong({ c: { volumeMounts: mounts }, spec: { volumes } })).toEqual([
      "spec.containers[0].volumeMounts.subPath: Invalid: must be a relative path",
      "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
      "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
    ]);
  });

  test("ports on the host's network are the host's, for regular containers, in a template only when they are given", () => {
    const ports = [{ containerPort: 80, hostPort: 81 }];
    const initContainers = [{ name: "i", image: "i", ports }];
    expect(wrong({ c: { ports }, spec: { hostNetwork: true, initContainers } })).toEqual([
      "spec.containers[0].ports[0].hostPort: Invalid: must match `containerPort` when `hostNetwork` is true",
    ]);
    const body = {
      metadata: { name: "d", namespace: "n" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: {
          metadata: { labels: { a: "b" } },
          spec: { hostNetwork: true, containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }] },
        },
      },
    };
    const deployment = decodeBody(DEPLOYMENTS, Buffer.from(JSON.stringify(body)), "application/json").object;
    applyDefaults(DEPLOYMENTS, deployment);
    delete deployment["spec"].template.spec.containers[0].ports[0].hostPort;
    expect(validateCreate(DEPLOYMENTS, deployment)).toEqual([]);
  });

  test("pull secrets may be nameless, which only warns", () => {
    expect(wrong({ spec: { imagePullSecrets: [{}] } })).toEqual([]);
  });
});

describe("the pod", () => {
  test("a user namespace of its own excludes the host's others", () => {
    expect(wrong({ spec: { hostUsers: false, hostNetwork: true, hostPID: true, hostIPC: true } })).toEqual(
      ["hostNetwork", "HostPID", "HostIPC"].map((f) => `spec.${f}: Forbidden: when \`pod.Spec.HostUsers\` is false`),
    );
  });

  test("its own resources cover its containers'", () => {
    const c = { resources: { requests: { cpu: "2" }, limits: { cpu: "4" } } };
    const initContainers = [{ name: "i", image: "i", resources: { requests: { memory: "1Gi" } } }];
    expect(
      wrong({ c, spec: { initContainers, resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "3", memory: "2Gi" } } } }),
    ).toEqual([
      "spec.resources.requests[cpu]: Invalid: must be greater than or equal to aggregate container requests of 2",
      "spec.resources.containers[0][cpu].limits: Invalid: must be less than or equal to pod limits of 3",
    ]);
    expect(wrong({ spec: { resources: { claims: [{ name: "x" }], requests: { cpu: "1" } } } })).toContain(
      "spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level",
    );
  });

  test("each operating system has its own options", () => {
    const windowsOptions = { runAsUserName: "u" };
    expect(
      wrong({ c: { securityContext: { windowsOptions } }, spec: { os: { name: "linux" }, securityContext: { windowsOptions } } }),
    ).toEqual([
      "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
      "spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
    ]);
    const securityContext = { runAsUser: 1, privileged: false };
    expect(wrong({ c: { securityContext }, spec: { os: { name: "windows" }, hostPID: true, securityContext: { fsGroup: 2 } } })).toEqual([
      "spec.hostPID: Forbidden: cannot be set for a windows pod",
      "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
      "spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod",
      "spec.containers[0].securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
    ]);
  });

  test("profiles say their type, and nothing else than their annotations", () => {
    expect(wrong({ spec: { securityContext: { seccompProfile: {}, appArmorProfile: {} } } })).toEqual([
      "spec.securityContext.seccompProfile.type: Required: type is required when seccompProfile is set",
      "spec.securityContext.appArmorProfile.type: Required: type is required when appArmorProfile is set",
    ]);
    expect(
      wrong({
        c: { securityContext: { appArmorProfile: { type: "Localhost", localhostProfile: "a" } } },
        spec: { securityContext: { seccompProfile: { type: "RuntimeDefault" } } },
        annotations: {
          "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
          "container.apparmor.security.beta.kubernetes.io/c": "localhost/b",
        },
      }),
    ).toEqual([
      "spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
      "spec.containers[0].securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match",
    ]);
    expect(wrong({ spec: { securityContext: { seLinuxChangePolicy: "Never" } } })).toEqual([
      'spec.securityContext.seLinuxChangePolicy: NotSupported: supported values: "MountOption", "Recursive"',
    ]);
  });
});
