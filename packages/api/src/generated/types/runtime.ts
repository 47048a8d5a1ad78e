// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.

export interface TypeMeta {
  apiVersion?: string;
  kind?: string;
}

export interface Unknown {
  apiVersion?: string;
  kind?: string;
}
