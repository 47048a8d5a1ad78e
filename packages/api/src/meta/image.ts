// Image references: [registry/]repository[:tag][@digest] (distribution reference grammar), as far as the API needs it.

const REFERENCE =
  /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::([\w][\w.-]{0,127}))?(@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$/;

/** The tag that decides the pull policy: "latest" when neither tag nor digest is given, "" when there is none. */
export function tagOfImage(image: string): string {
  const m = REFERENCE.exec(image);
  if (m === null) return "";
  if (m[1] !== undefined) return m[1];
  return m[2] === undefined ? "latest" : "";
}

/** What imagePullPolicy is when nobody says: Always for the tag latest. */
export function defaultPullPolicy(image: string): "Always" | "IfNotPresent" {
  return tagOfImage(image) === "latest" ? "Always" : "IfNotPresent";
}
