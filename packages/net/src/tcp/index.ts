// TCP as a pure state machine: a Connection, what may happen to it (receive, fireTimers, the calls of user.ts) and `transmit`,
// which says what to send. Nothing here knows a clock, a packet or a socket.
export * from "./connection.ts";
export { receive } from "./input.ts";
export { answerWithCookie, type Emit, resetFor, transmit, windowUpdateDue } from "./output.ts";
export { EMPTY, flagNames, headerLength, OutSegment, readSegment, Segment, writeHeader } from "./segment.ts";
export { SynCookies, stampWithOptions, synOfCookie } from "./syn-cookie.ts";
export { fireTimers, nextTimer } from "./timers.ts";
export * from "./user.ts";
