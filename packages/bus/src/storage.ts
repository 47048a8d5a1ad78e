// What a node says to the cluster's storage (the edge) about the content of a volume, on subjects.storage: requests with these bodies.
// A volume is a log of file system changes (runtime/vfs/journal.ts); a position in it is (generation, offset), and a generation ends
// when the log is written anew. Each node that has the volume open keeps a copy by reading the log and adds its own changes to it.
// Invariants: the order in the log is the order of the changes, for every node; a batch is told from another's by its mark
// (session, number); a session that is not open, or whose node the volume is not attached to, is refused.

/** The simulated CSI driver: its name in StorageClass, CSIDriver, CSINode and PersistentVolume. */
export const CSI_DRIVER = "csi.podwire.io";

export type StorageRequest =
  | { op: "open"; volume: string; kind: VolumeKind; readOnly: boolean }
  | { op: "read"; volume: string; generation: number; offset: number }
  | { op: "append"; volume: string; session: number; batch: number; bytes: Uint8Array }
  | { op: "close"; volume: string; session: number };

/** A CSI volume was made before and is attached; an NFS export is there for whoever names it. */
export type VolumeKind = "csi" | "nfs";

export interface VolumeOpened {
  /** Never given out twice for one volume: inode numbers of this session begin at session * 2^32. */
  session: number;
  generation: number;
  /** Where the log ends now. */
  end: number;
  /** Capacity; 0 is without a limit. */
  sizeBytes: number;
}

export interface VolumeBytes {
  bytes: Uint8Array;
  end: number;
}

export interface VolumeAppended {
  generation: number;
  from: number;
  end: number;
}

/** On subjects.volume of each other node that has it open. */
export interface VolumeChanged {
  volume: string;
  generation: number;
  end: number;
  /** Its capacity is larger than before; told to every node that has it open. */
  grown?: boolean;
}

/** Codes of RemoteError. */
export const StorageCode = {
  /** No such volume. */
  notFound: "volume-not-found",
  /** The volume is not attached to the node that asks. */
  notAttached: "volume-not-attached",
  /** The session is over (the storage was restarted): open again. */
  unknownSession: "volume-unknown-session",
  /** The log was written anew: read it from its start. */
  oldGeneration: "volume-old-generation",
} as const;

/** Bytes of the log in one answer or one append. */
export const MAX_STORAGE_BYTES = 512 * 1024;
