// Volumes of pods and the sources that PersistentVolumes share with them (core/validation of Kubernetes 1.34).
import { duplicate, forbidden, invalid, notSupported, required } from "../errors/field-error.ts";
import { isDns1123Subdomain } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { pathHasNoDots, VOLUME_FIELD_PATHS, validateFieldRef, validateLocalDescendingPath, validateResourceFieldRef } from "./container.ts";
import { dnsLabel, type Errors, invalidAll, type Obj, oneOf } from "./rules.ts";
import { validateClaimTemplate } from "./storage.ts";

const MODE_ERROR = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATH_TYPES = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

export function validateVolumes(errs: Errors, volumes: Obj[] | undefined, path: string): Map<string, Obj> {
  const byName = new Map<string, Obj>();
  (volumes ?? []).forEach((v, i) => {
    const p = `${path}[${i}]`;
    const before = errs.length;
    validateSource(errs, v, p);
    if (!v.name) errs.push(required(`${p}.name`));
    else dnsLabel(errs, `${p}.name`, v.name);
    if (byName.has(v.name)) errs.push(duplicate(`${p}.name`, v.name));
    if (errs.length === before) byName.set(v.name, v);
  });
  return byName;
}

type Check = (errs: Errors, s: Obj, path: string) => void;

const need = (errs: Errors, s: Obj, path: string, ...fields: string[]): void => {
  for (const f of fields) if (!s[f]) errs.push(required(`${path}.${f}`));
};

/** In the order in which Kubernetes looks at them; the second one present is the error. */
export const SOURCES: Record<string, Check> = {
  emptyDir: (errs, s, p) => {
    if (s.sizeLimit !== undefined && parseQuantity(s.sizeLimit).sign() < 0)
      errs.push(forbidden(`${p}.sizeLimit`, "SizeLimit field must be a valid resource quantity"));
  },
  hostPath: validateHostPath,
  gitRepo: (errs, s, p) => {
    need(errs, s, p, "repository");
    if (s.directory) validateLocalDescendingPath(errs, s.directory, `${p}.directory`);
  },
  gcePersistentDisk: (errs, s, p) => need(errs, s, p, "pdName"),
  awsElasticBlockStore: (errs, s, p) => need(errs, s, p, "volumeID"),
  secret: (errs, s, p) => {
    need(errs, s, p, "secretName");
    mode(errs, s.defaultMode, `${p}.defaultMode`);
    keyPaths(errs, s.items, `${p}.items`);
  },
  nfs: (errs, s, p) => {
    need(errs, s, p, "server", "path");
    if (s.path && !s.path.startsWith("/")) errs.push(invalid(`${p}.path`, s.path, "must be an absolute path"));
  },
  iscsi: (errs, s, p) => {
    need(errs, s, p, "targetPortal", "iqn");
    if ((s.lun ?? 0) < 0 || (s.lun ?? 0) > 255) errs.push(invalid(`${p}.lun`, s.lun, "must be between 0 and 255, inclusive"));
  },
  glusterfs: (errs, s, p) => need(errs, s, p, "endpoints", "path"),
  flocker: (errs, s, p) => {
    if (!s.datasetName && !s.datasetUUID) errs.push(required(p, "one of datasetName and datasetUUID is required"));
  },
  rbd: (errs, s, p) => {
    if ((s.monitors ?? []).length === 0) errs.push(required(`${p}.monitors`));
    need(errs, s, p, "image");
  },
  cinder: (errs, s, p) => need(errs, s, p, "volumeID"),
  cephfs: (errs, s, p) => {
    if ((s.monitors ?? []).length === 0) errs.push(required(`${p}.monitors`));
  },
  quobyte: (errs, s, p) => need(errs, s, p, "registry", "volume"),
  downwardAPI: (errs, s, p) => {
    mode(errs, s.defaultMode, `${p}.defaultMode`);
    (s.items ?? []).forEach((f: Obj, i: number) => {
      downwardFile(errs, f, `${p}.items[${i}]`);
    });
  },
  configMap: (errs, s, p) => {
    need(errs, s, p, "name");
    mode(errs, s.defaultMode, `${p}.defaultMode`);
    keyPaths(errs, s.items, `${p}.items`);
  },
  fc: (errs, s, p) => {
    const wwns = (s.targetWWNs ?? []).length;
    if (wwns === 0 && (s.wwids ?? []).length === 0)
      errs.push(required(`${p}.targetWWNs`, "must specify either targetWWNs or wwids, but not both"));
  },
  vsphereVolume: (errs, s, p) => need(errs, s, p, "volumePath"),
  azureFile: (errs, s, p) => need(errs, s, p, "secretName", "shareName"),
  flexVolume: (errs, s, p) => need(errs, s, p, "driver"),
  azureDisk: (errs, s, p) => need(errs, s, p, "diskName", "diskURI"),
  photonPersistentDisk: (errs, s, p) => need(errs, s, p, "pdID"),
  portworxVolume: (errs, s, p) => need(errs, s, p, "volumeID"),
  scaleIO: (errs, s, p) => need(errs, s, p, "gateway", "system", "volumeName"),
  storageos: (errs, s, p) => need(errs, s, p, "volumeName"),
  projected: validateProjected,
  persistentVolumeClaim: (errs, s, p) => need(errs, s, p, "claimName"),
  csi: (errs, s, p) => {
    if (!s.driver) errs.push(required(`${p}.driver`));
    else invalidAll(errs, `${p}.driver`, s.driver, isDns1123Subdomain(s.driver.toLowerCase()));
  },
  ephemeral: (errs, s, p) => {
    if (!s.volumeClaimTemplate) errs.push(required(`${p}.volumeClaimTemplate`));
    else validateClaimTemplate(errs, s.volumeClaimTemplate, `${p}.volumeClaimTemplate`);
  },
  image: (errs, s, p) => {
    need(errs, s, p, "reference");
    oneOf(errs, `${p}.pullPolicy`, s.pullPolicy, ["Always", "IfNotPresent", "Never"], "required");
  },
};

function validateSource(errs: Errors, v: Obj, path: string): void {
  let n = 0;
  for (const kind in SOURCES) {
    const s = v[kind];
    if (s === undefined) continue;
    if (n++ > 0) errs.push(forbidden(`${path}.${kind}`, "may not specify more than 1 volume type"));
    else SOURCES[kind]!(errs, s, `${path}.${kind}`);
  }
  if (n === 0) errs.push(required(path, "must specify a volume type"));
}

function validateHostPath(errs: Errors, s: Obj, path: string): void {
  if (!s.path) errs.push(required(`${path}.path`));
  else {
    pathHasNoDots(errs, s.path, `${path}.path`);
    if (s.type !== undefined && !HOST_PATH_TYPES.includes(s.type)) errs.push(notSupported(`${path}.type`, s.type, HOST_PATH_TYPES));
  }
}

function mode(errs: Errors, m: number | undefined, path: string): void {
  if (m !== undefined && (m < 0 || m > 0o777)) errs.push(invalid(path, m, MODE_ERROR));
}

function keyPaths(errs: Errors, items: Obj[] | undefined, path: string): void {
  (items ?? []).forEach((i, n) => {
    const p = `${path}[${n}]`;
    if (!i.key) errs.push(required(`${p}.key`));
    if (!i.path) errs.push(required(`${p}.path`));
    else localNonReserved(errs, i.path, `${p}.path`);
    mode(errs, i.mode, `${p}.mode`);
  });
}

function localNonReserved(errs: Errors, value: string, path: string): void {
  validateLocalDescendingPath(errs, value, path);
  // Names that start with ".." are the atomic writer's own.
  if (value.startsWith("..") && !value.startsWith("../")) errs.push(invalid(path, value, "must not start with '..'"));
}

function downwardFile(errs: Errors, f: Obj, path: string): void {
  if (!f.path) errs.push(required(`${path}.path`));
  else localNonReserved(errs, f.path, `${path}.path`);
  if (f.fieldRef) {
    validateFieldRef(errs, f.fieldRef, `${path}.fieldRef`, VOLUME_FIELD_PATHS);
    if (f.resourceFieldRef) errs.push(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
  } else if (f.resourceFieldRef) validateResourceFieldRef(errs, f.resourceFieldRef, `${path}.resourceFieldRef`, true);
  else errs.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  mode(errs, f.mode, `${path}.mode`);
}

const TOKEN_SECONDS_MIN = 600;
const TOKEN_SECONDS_MAX = 2 ** 32;

function validateProjected(errs: Errors, s: Obj, path: string): void {
  mode(errs, s.defaultMode, `${path}.defaultMode`);
  const paths = new Set<string>();
  const unique = (value: string, at: string): void => {
    if (value && paths.has(value)) errs.push(invalid(at, value, "conflicting duplicate paths"));
    paths.add(value);
  };
  (s.sources ?? []).forEach((src: Obj, i: number) => {
    const at = `${path}.sources[${i}]`;
    let n = 0;
    const only = (kind: string): boolean => {
      if (src[kind] === undefined) return false;
      if (n++ > 0) {
        errs.push(forbidden(`${at}.${kind}`, "may not specify more than 1 volume type per source"));
        return false;
      }
      return true;
    };
    for (const kind of ["secret", "configMap"] as const) {
      if (!only(kind)) continue;
      if (!src[kind].name) errs.push(required(`${at}.${kind}.name`));
      keyPaths(errs, src[kind].items, `${at}.${kind}.items`);
      for (const item of src[kind].items ?? []) unique(item.path, `${path}.sources[${i}].${kind}`);
    }
    if (only("downwardAPI")) {
      (src.downwardAPI.items ?? []).forEach((f: Obj, j: number) => {
        downwardFile(errs, f, `${at}.downwardAPI.items[${j}]`);
        unique(f.path, `${at}.downwardAPI`);
      });
    }
    if (only("serviceAccountToken")) {
      const t = src.serviceAccountToken;
      if (t.expirationSeconds < TOKEN_SECONDS_MIN)
        errs.push(
          invalid(`${at}.serviceAccountToken.expirationSeconds`, t.expirationSeconds, "may not specify a duration less than 10 minutes"),
        );
      if (t.expirationSeconds > TOKEN_SECONDS_MAX)
        errs.push(
          invalid(
            `${at}.serviceAccountToken.expirationSeconds`,
            t.expirationSeconds,
            "may not specify a duration larger than 2^32 seconds",
          ),
        );
      if (!t.path) errs.push(required(`${at}.serviceAccountToken.path`));
      else localNonReserved(errs, t.path, `${at}.serviceAccountToken.path`);
      unique(t.path, `${at}.serviceAccountToken.path`);
    }
    if (only("clusterTrustBundle") && !src.clusterTrustBundle.path) errs.push(required(`${at}.clusterTrustBundle.path`));
    if (n === 0) errs.push(required(at, "must specify a volume source type"));
  });
}
