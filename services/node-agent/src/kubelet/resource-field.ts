// The downward API's resources of a container (resourceFieldRef): the amount divided by the divisor, rounded up.
import { type Container as ContainerSpec, parseQuantity } from "@podwire/api";

/** `resource` is "limits.cpu", "requests.memory", ...; without a limit the node's allocatable stands in. */
export function resourceValue(
  spec: ContainerSpec,
  resource: string,
  divisor: string,
  allocatable: Readonly<Record<string, string>>,
): string {
  const [kind, ...rest] = resource.split(".");
  const name = rest.join(".");
  const of = (spec.resources as Record<string, Record<string, string>> | undefined)?.[kind as string]?.[name];
  const amount =
    of ??
    (kind === "limits"
      ? (allocatable[name] ?? "0")
      : ((spec.resources as Record<string, Record<string, string>> | undefined)?.["limits"]?.[name] ?? "0"));
  const milli = (text: string) => Number(parseQuantity(text).milli());
  const by = divisor === "0" || divisor === "" ? 1000 : milli(divisor);
  return String(Math.ceil(milli(amount) / by));
}
