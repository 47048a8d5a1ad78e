// The headers of a stored version. RePublish hands them on, with JetStream's own Nats-Sequence and Nats-Last-Sequence.

/** JetStream's compare-and-set; stored with the message, it says which revision this one replaced (0: none). */
export const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
/** What kind of change: ADD (the key did not live before), DEL (a deletion marker); absent for an update. */
export const OP = "Pw-Op";
export const ADD = "ADD";
export const DEL = "DEL";
/** Unique to one write: after a lost connection it tells whether the write happened. */
export const WRITE_ID = "Pw-Write";
