// Errors of the simulated kernel: one class, Linux's names, numbers and texts (errno(3), as glibc and musl print them).
import { PodwireError } from "@podwire/base";

/** name -> [number, text]. Texts are glibc's; musl differs in few and busybox images are built with glibc. */
const TABLE = {
  EPERM: [1, "Operation not permitted"],
  ENOENT: [2, "No such file or directory"],
  ESRCH: [3, "No such process"],
  EINTR: [4, "Interrupted system call"],
  EIO: [5, "Input/output error"],
  ENXIO: [6, "No such device or address"],
  E2BIG: [7, "Argument list too long"],
  ENOEXEC: [8, "Exec format error"],
  EBADF: [9, "Bad file descriptor"],
  ECHILD: [10, "No child processes"],
  EAGAIN: [11, "Resource temporarily unavailable"],
  ENOMEM: [12, "Cannot allocate memory"],
  EACCES: [13, "Permission denied"],
  EBUSY: [16, "Device or resource busy"],
  EEXIST: [17, "File exists"],
  EXDEV: [18, "Invalid cross-device link"],
  ENODEV: [19, "No such device"],
  ENOTDIR: [20, "Not a directory"],
  EISDIR: [21, "Is a directory"],
  EINVAL: [22, "Invalid argument"],
  ENFILE: [23, "Too many open files in system"],
  EMFILE: [24, "Too many open files"],
  ENOTTY: [25, "Inappropriate ioctl for device"],
  ETXTBSY: [26, "Text file busy"],
  EFBIG: [27, "File too large"],
  ENOSPC: [28, "No space left on device"],
  ESPIPE: [29, "Illegal seek"],
  EROFS: [30, "Read-only file system"],
  EMLINK: [31, "Too many links"],
  EPIPE: [32, "Broken pipe"],
  ERANGE: [34, "Numerical result out of range"],
  ENAMETOOLONG: [36, "File name too long"],
  ENOSYS: [38, "Function not implemented"],
  ENOTEMPTY: [39, "Directory not empty"],
  ELOOP: [40, "Too many levels of symbolic links"],
  EPROTONOSUPPORT: [93, "Protocol not supported"],
  EOPNOTSUPP: [95, "Operation not supported"],
  EADDRINUSE: [98, "Address already in use"],
  EADDRNOTAVAIL: [99, "Cannot assign requested address"],
  ENETUNREACH: [101, "Network is unreachable"],
  ECONNRESET: [104, "Connection reset by peer"],
  ENOTCONN: [107, "Transport endpoint is not connected"],
  ETIMEDOUT: [110, "Connection timed out"],
  ECONNREFUSED: [111, "Connection refused"],
  EHOSTUNREACH: [113, "No route to host"],
  EDQUOT: [122, "Disk quota exceeded"],
} as const;

export type Errno = keyof typeof TABLE;

/**
 * A failed system call. `message` is strerror's text; `path` the name that failed, where there is one. It has no stack: programs fail
 * calls all the time (a search in PATH five times), and a stack costs more than the call.
 */
export class SysError extends PodwireError {
  readonly code: Errno;
  readonly errno: number;
  readonly path: string | undefined;
  constructor(code: Errno, path?: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(TABLE[code][1]);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.errno = TABLE[code][0];
    this.path = path;
  }
}

/** strerror's text for any thrown value that carries a `code` (SysError, a socket's error), else its message. */
export function strerror(e: unknown): string {
  const code = (e as { code?: string } | undefined)?.code;
  if (code !== undefined && code in TABLE) return TABLE[code as Errno][1];
  return e instanceof Error ? e.message : String(e);
}

/** Whether an error carries this code: a SysError, or an error of Node. */
export function isErrno(e: unknown, code: Errno): boolean {
  return (e as { code?: string } | undefined)?.code === code;
}
