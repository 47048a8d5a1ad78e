// Probes and lifecycle handlers of containers (core/validation of Kubernetes 1.34).
import { forbidden, invalid, required } from "../errors/field-error.ts";
import { isHttpHeaderName } from "../meta/names.ts";
import { type Errors, INT32_MAX, invalidAll, nonNegative, type Obj, oneOf, portOrName } from "./rules.ts";

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

function validateHandler(errs: Errors, h: Obj, path: string, graceSeconds: number | undefined): void {
  let seen = 0;
  for (const kind of HANDLERS) {
    const v = h[kind];
    if (v === undefined) continue;
    const p = `${path}.${kind}`;
    if (seen++ > 0) {
      errs.push(forbidden(p, "may not specify more than 1 handler type"));
      continue;
    }
    if (kind === "exec") {
      if ((v.command ?? []).length === 0) errs.push(required(`${p}.command`));
    } else if (kind === "httpGet") validateHttpGet(errs, v, p);
    else if (kind === "tcpSocket") portOrName(errs, `${p}.port`, v.port);
    else if (kind === "grpc") portOrName(errs, `${p}.port`, v.port);
    else validateSleep(errs, v, p, graceSeconds);
  }
  if (seen === 0) errs.push(required(path, "must specify a handler type"));
}

function validateHttpGet(errs: Errors, h: Obj, path: string): void {
  if (!h.path) errs.push(required(`${path}.path`));
  portOrName(errs, `${path}.port`, h.port);
  oneOf(errs, `${path}.scheme`, h.scheme, ["HTTP", "HTTPS"]);
  (h.httpHeaders ?? []).forEach((x: Obj) => {
    invalidAll(errs, `${path}.httpHeaders`, x.name, isHttpHeaderName(x.name));
  });
}

function validateSleep(errs: Errors, v: Obj, path: string, graceSeconds: number | undefined): void {
  const seconds = v.seconds ?? 0;
  if (graceSeconds === undefined) return;
  if (seconds < 0 || seconds > graceSeconds) {
    errs.push(invalid(path, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds}).`));
  }
}

function validateProbe(errs: Errors, p: Obj, path: string): void {
  validateHandler(errs, p, path, undefined);
  nonNegative(errs, `${path}.initialDelaySeconds`, p.initialDelaySeconds ?? 0);
  nonNegative(errs, `${path}.timeoutSeconds`, p.timeoutSeconds ?? 0);
  nonNegative(errs, `${path}.periodSeconds`, p.periodSeconds ?? 0);
  nonNegative(errs, `${path}.successThreshold`, p.successThreshold ?? 0);
  nonNegative(errs, `${path}.failureThreshold`, p.failureThreshold ?? 0);
  if (p.terminationGracePeriodSeconds !== undefined && p.terminationGracePeriodSeconds <= 0) {
    errs.push(invalid(`${path}.terminationGracePeriodSeconds`, p.terminationGracePeriodSeconds, "must be greater than 0"));
  }
}

export function validateProbes(errs: Errors, c: Obj, path: string): void {
  if (c.livenessProbe) {
    validateProbe(errs, c.livenessProbe, `${path}.livenessProbe`);
    mustBeOne(errs, c.livenessProbe, `${path}.livenessProbe`);
  }
  if (c.readinessProbe) {
    validateProbe(errs, c.readinessProbe, `${path}.readinessProbe`);
    if (c.readinessProbe.terminationGracePeriodSeconds !== undefined) {
      errs.push(
        invalid(
          `${path}.readinessProbe.terminationGracePeriodSeconds`,
          c.readinessProbe.terminationGracePeriodSeconds,
          "must not be set for readinessProbes",
        ),
      );
    }
  }
  if (c.startupProbe) {
    validateProbe(errs, c.startupProbe, `${path}.startupProbe`);
    mustBeOne(errs, c.startupProbe, `${path}.startupProbe`);
  }
}

function mustBeOne(errs: Errors, p: Obj, path: string): void {
  if ((p.successThreshold ?? 0) !== 1) errs.push(invalid(`${path}.successThreshold`, p.successThreshold ?? 0, "must be 1"));
}

export function validateLifecycle(errs: Errors, l: Obj | undefined, path: string, graceSeconds: number | undefined): void {
  if (l === undefined) return;
  const grace = graceSeconds ?? INT32_MAX;
  if (l.postStart) validateHandler(errs, l.postStart, `${path}.postStart`, grace);
  if (l.preStop) validateHandler(errs, l.preStop, `${path}.preStop`, grace);
}
