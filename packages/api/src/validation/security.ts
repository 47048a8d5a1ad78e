// Security contexts of pods and containers (core/validation of Kubernetes 1.34).
import { forbidden, invalid, required, tooLong } from "../errors/field-error.ts";
import { internalForm } from "./internal-form.ts";
import { type Errors, INT32_MAX, type Obj, oneOf, rangeMessage } from "./rules.ts";

const ID_RANGE = rangeMessage(0, INT32_MAX);
const SYSCTL = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const SYSCTL_RE = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const SYSCTL_MAX = 253;
const PROFILE_TYPES = ["Localhost", "RuntimeDefault", "Unconfined"];
const PROFILE_LENGTH_MAX = 4095;

function id(errs: Errors, path: string, value: number | undefined): void {
  if (value !== undefined && (value < 0 || value > INT32_MAX)) errs.push(invalid(path, value, ID_RANGE));
}

function profile(errs: Errors, p: Obj | undefined, path: string): void {
  if (p === undefined) return;
  if (!p.type) errs.push(required(`${path}.type`, "type is required when seccompProfile is set"));
  else oneOf(errs, `${path}.type`, p.type, PROFILE_TYPES);
  if (p.type === "Localhost") {
    if (p.localhostProfile === undefined) errs.push(required(`${path}.localhostProfile`, "must be set when seccomp type is Localhost"));
    else if (p.localhostProfile.startsWith("/") || p.localhostProfile.split("/").includes("..")) {
      errs.push(
        invalid(
          `${path}.localhostProfile`,
          p.localhostProfile,
          p.localhostProfile.startsWith("/") ? "must be a relative path" : "must not contain '..'",
        ),
      );
    }
  } else {
    if (p.localhostProfile !== undefined)
      errs.push(invalid(`${path}.localhostProfile`, p, "can only be set when seccomp type is Localhost"));
  }
}

function appArmor(errs: Errors, p: Obj | undefined, path: string): void {
  if (p === undefined) return;
  if (p.type === "Localhost") {
    const name = (p.localhostProfile ?? "").trim();
    if (name === "") errs.push(required(`${path}.localhostProfile`, "must be set when AppArmor type is Localhost"));
    else if (p.localhostProfile !== name)
      errs.push(invalid(`${path}.localhostProfile`, p.localhostProfile, "must not be padded with whitespace"));
    if ((p.localhostProfile ?? "").length > PROFILE_LENGTH_MAX) errs.push(tooLong(`${path}.localhostProfile`, PROFILE_LENGTH_MAX));
  } else if (!p.type) errs.push(required(`${path}.type`, "type is required when appArmorProfile is set"));
  else if (!PROFILE_TYPES.includes(p.type)) oneOf(errs, `${path}.type`, p.type, PROFILE_TYPES);
  else {
    if (p.localhostProfile !== undefined)
      errs.push(invalid(`${path}.localhostProfile`, p.localhostProfile, "can only be set when AppArmor type is Localhost"));
  }
}

export function validatePodSecurityContext(errs: Errors, s: Obj | undefined, spec: Obj, path: string): void {
  if (s === undefined) return;
  id(errs, `${path}.fsGroup`, s.fsGroup);
  id(errs, `${path}.runAsUser`, s.runAsUser);
  id(errs, `${path}.runAsGroup`, s.runAsGroup);
  (s.supplementalGroups ?? []).forEach((g: number, i: number) => {
    id(errs, `${path}.supplementalGroups[${i}]`, g);
  });
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    errs.push(invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
  }
  (s.sysctls ?? []).forEach((x: Obj, i: number) => {
    validateSysctl(errs, x, s.sysctls, i, spec, `${path}.sysctls[${i}]`);
  });
  if (s.fsGroupChangePolicy !== undefined) oneOf(errs, `${path}.fsGroupChangePolicy`, s.fsGroupChangePolicy, ["Always", "OnRootMismatch"]);
  profile(errs, s.seccompProfile, `${path}.seccompProfile`);
  windows(errs, s.windowsOptions, `${path}.windowsOptions`);
  appArmor(errs, s.appArmorProfile, `${path}.appArmorProfile`);
  if (s.supplementalGroupsPolicy !== undefined)
    oneOf(errs, `${path}.supplementalGroupsPolicy`, s.supplementalGroupsPolicy, ["Merge", "Strict"]);
  if (s.seLinuxChangePolicy !== undefined) oneOf(errs, `${path}.seLinuxChangePolicy`, s.seLinuxChangePolicy, ["MountOption", "Recursive"]);
}

const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR_CONTAINER = "container.apparmor.security.beta.kubernetes.io/";

/** Profiles were annotations once; where both are given they must say the same. */
export function validateProfileAnnotations(errs: Errors, pod: Obj): void {
  const annotations: Record<string, string> = pod.metadata?.annotations ?? {};
  const s = pod.spec;
  const each = (visit: (c: Obj, path: string) => void) => {
    for (const list of ["initContainers", "containers", "ephemeralContainers"])
      (s[list] ?? []).forEach((c: Obj, i: number) => {
        visit(c, `spec.${list}[${i}].securityContext`);
      });
  };
  const compare = (kind: "seccomp" | "apparmor", field: Obj | undefined, annotation: string | undefined, path: string) => {
    if (!field || annotation === undefined) return;
    const same =
      field.type === "Unconfined"
        ? annotation === "unconfined"
        : field.type === "RuntimeDefault"
          ? annotation === "runtime/default" || (kind === "seccomp" && annotation === "docker/default")
          : annotation.startsWith("localhost/");
    if (!same) errs.push(forbidden(`${path}.type`, `${kind} type in annotation and field must match`));
    else if (field.type === "Localhost" && annotation !== `localhost/${field.localhostProfile}`)
      errs.push(forbidden(`${path}.localhostProfile`, `${kind} profile in annotation and field must match`));
  };
  compare("seccomp", s.securityContext?.seccompProfile, annotations[SECCOMP_POD], "spec.securityContext.seccompProfile");
  each((c, path) => {
    compare("seccomp", c.securityContext?.seccompProfile, annotations[`${SECCOMP_CONTAINER}${c.name}`], `${path}.seccompProfile`);
  });
  if (s.os?.name === "windows") return;
  each((c, path) => {
    const field = c.securityContext?.appArmorProfile ?? s.securityContext?.appArmorProfile;
    compare("apparmor", field, annotations[`${APPARMOR_CONTAINER}${c.name}`], `${path}.appArmorProfile`);
  });
}

function validateSysctl(errs: Errors, x: Obj, all: Obj[], i: number, spec: Obj, path: string): void {
  if (x.name === "") errs.push(required(`${path}.name`));
  else if (x.name.length > SYSCTL_MAX || !SYSCTL_RE.test(x.name)) {
    errs.push(invalid(`${path}.name`, x.name, `must have at most ${SYSCTL_MAX} characters and match regex ${SYSCTL}`));
  } else if (all.findIndex((y) => y.name === x.name) < i) {
    errs.push({ type: "FieldValueDuplicate", field: `${path}.name`, detail: "", badValue: x.name });
  }
  const name = x.name.replaceAll("/", ".");
  if (spec.hostNetwork === true && name.startsWith("net."))
    errs.push(invalid(`${path}.name`, x.name, "may not be specified when 'hostNetwork' is true"));
  if (spec.hostIPC === true && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(name))
    errs.push(invalid(`${path}.name`, x.name, "may not be specified when 'hostIPC' is true"));
}

export function validateSecurityContext(errs: Errors, s: Obj, path: string, hostUsers: boolean): void {
  id(errs, `${path}.runAsUser`, s.runAsUser);
  id(errs, `${path}.runAsGroup`, s.runAsGroup);
  if (s.procMount !== undefined) {
    oneOf(errs, `${path}.procMount`, s.procMount, ["Default", "Unmasked"]);
    if (hostUsers && s.procMount === "Unmasked")
      errs.push(invalid(`${path}.procMount`, s.procMount, "`hostUsers` must be false to use `Unmasked`"));
  }
  profile(errs, s.seccompProfile, `${path}.seccompProfile`);
  if (s.allowPrivilegeEscalation === false) {
    if (s.privileged === true) {
      errs.push(
        invalid(
          path,
          internalForm("core/v1.SecurityContext", s),
          "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
      );
    }
    if ((s.capabilities?.add ?? []).some((c: string) => c === "CAP_SYS_ADMIN")) {
      errs.push(
        invalid(
          path,
          internalForm("core/v1.SecurityContext", s),
          "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ),
      );
    }
  }
  windows(errs, s.windowsOptions, `${path}.windowsOptions`);
  appArmor(errs, s.appArmorProfile, `${path}.appArmorProfile`);
}

function windows(errs: Errors, w: Obj | undefined, path: string): void {
  if (w === undefined) return;
  if (w.gmsaCredentialSpec !== undefined && w.gmsaCredentialSpec === "")
    errs.push(invalid(`${path}.gmsaCredentialSpec`, "", "gmsaCredentialSpec cannot be an empty string"));
  if (w.runAsUserName !== undefined && w.runAsUserName === "")
    errs.push(invalid(`${path}.runAsUserName`, "", "runAsUserName cannot be an empty string"));
}
