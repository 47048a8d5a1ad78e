// A serving certificate that its owner signs, as a kubelet makes one when it is given none (X.509 v3, RFC 5280; ECDSA P-256, RFC 5480).
// Invariant: the DER written here parses with any X.509 library; the key never leaves the process.
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAltName: "2.5.29.17",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

const SEQUENCE = 0x30;
const SET = 0x31;
const YEAR_MS = 365 * 86_400_000;

function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function oid(text: string): Buffer {
  const [a = 0, b = 0, ...rest] = text.split(".").map(Number);
  const bytes = [a * 40 + b];
  for (const n of rest) {
    const digits = [n & 127];
    for (let m = n >>> 7; m > 0; m >>>= 7) digits.unshift((m & 127) | 128);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

const text = (s: string) => der(0x0c, Buffer.from(s, "utf8"));
/** GeneralizedTime: the years of UTCTime end in 2049. */
const moment = (ms: number) => der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`, "latin1"));
const named = (cn: string) => der(SEQUENCE, der(SET, der(SEQUENCE, oid(OID.commonName), text(cn))));
const extension = (id: string, value: Buffer, critical = false) =>
  der(SEQUENCE, oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));

export interface SelfSigned {
  certPem: string;
  keyPem: string;
}

/** `serial`: 16 random bytes. */
export function selfSigned(o: {
  commonName: string;
  dns: readonly string[];
  ipv4: readonly string[];
  nowMs: number;
  serial: Uint8Array;
}): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const algorithm = der(SEQUENCE, oid(OID.ecdsaWithSha256));
  const serial = Buffer.from(o.serial);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x01;
  const names = [
    ...o.dns.map((d) => der(0x82, Buffer.from(d, "latin1"))),
    ...o.ipv4.map((a) => der(0x87, Buffer.from(a.split(".").map(Number)))),
  ];
  const tbs = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    named(o.commonName),
    der(SEQUENCE, moment(o.nowMs - 3_600_000), moment(o.nowMs + YEAR_MS)),
    named(o.commonName),
    publicKey,
    der(
      0xa3,
      der(
        SEQUENCE,
        extension(OID.keyUsage, der(0x03, Buffer.from([5, 0xa0])), true),
        extension(OID.extendedKeyUsage, der(SEQUENCE, oid(OID.serverAuth))),
        extension(OID.subjectAltName, der(SEQUENCE, ...names)),
      ),
    ),
  );
  const signature = sign("sha256", tbs, createPrivateKey(privateKey));
  const certificate = der(SEQUENCE, tbs, algorithm, der(0x03, Buffer.from([0]), signature));
  const lines = certificate.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return { certPem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`, keyPem: privateKey };
}
