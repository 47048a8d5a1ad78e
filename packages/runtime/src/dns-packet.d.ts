// Types of the part of dns-packet 5 that this package uses; the package ships none.
declare module "dns-packet" {
  export type RecordType = string;
  export interface Answer {
    name: string;
    type: string;
    ttl?: number;
    class?: string;
    data?: unknown;
    [option: string]: unknown;
  }
  export interface Question {
    name: string;
    type: string;
    class?: string;
  }
  export interface Packet {
    type?: "query" | "response";
    id?: number;
    flags?: number;
    questions?: Question[];
    answers?: Answer[];
    authorities?: Answer[];
    additionals?: Answer[];
  }
  export type DecodedPacket = Packet & { rcode: string };
  export function encode(p: Packet): Buffer;
  export function decode(b: Buffer): DecodedPacket;
  export const RECURSION_DESIRED: number;
  export const RECURSION_AVAILABLE: number;
  export const TRUNCATED_RESPONSE: number;
  export const AUTHORITATIVE_ANSWER: number;
  const all: {
    encode: typeof encode;
    decode: typeof decode;
    RECURSION_DESIRED: number;
    RECURSION_AVAILABLE: number;
    TRUNCATED_RESPONSE: number;
    AUTHORITATIVE_ANSWER: number;
  };
  export default all;
}
