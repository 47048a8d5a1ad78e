// Socket errors with Node's surface: code, errno, syscall, address, port, and the message node:net would give
// ("connect ECONNREFUSED 10.0.0.1:80"). Invariant: `code` is one of ERRNO's names; errno is Linux's number, negated.
import { PodwireError } from "@podwire/base";

export const ERRNO = {
  EACCES: 13,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ECANCELED: 125,
  ECONNABORTED: 103,
  ECONNREFUSED: 111,
  ECONNRESET: 104,
  EHOSTUNREACH: 113,
  EINVAL: 22,
  EMSGSIZE: 90,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ENOTFOUND: 3008,
  EPERM: 1,
  EPIPE: 32,
  ETIMEDOUT: 110,
} as const;

export type ErrnoName = keyof typeof ERRNO;

export class SocketError extends PodwireError {
  readonly code: ErrnoName;
  readonly errno: number;
  readonly syscall: string;
  readonly address: string | undefined;
  readonly port: number | undefined;

  constructor(code: ErrnoName, syscall: string, address?: string, port?: number) {
    let where = "";
    if (address !== undefined) where = port === undefined ? ` ${address}` : ` ${address.includes(":") ? `[${address}]` : address}:${port}`;
    super(`${syscall} ${code}${where}`);
    this.code = code;
    this.errno = -ERRNO[code];
    this.syscall = syscall;
    this.address = address;
    this.port = port;
  }
}
