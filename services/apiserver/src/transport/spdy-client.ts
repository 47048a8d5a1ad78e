// What a SPDY client sends to open a stream, for tests of the server's side.
import { constants, type Deflate } from "node:zlib";

/** SYN_STREAM of a stream; the compressor is the connection's. */
export async function synStream(z: Deflate, id: number, headers: Record<string, string>): Promise<Buffer> {
  const text = (s: string) => Buffer.concat([Buffer.from([0, 0, 0, s.length]), Buffer.from(s)]);
  const pairs = Object.entries(headers);
  const block = await new Promise<Buffer>((resolve) => {
    const chunks: Buffer[] = [];
    z.removeAllListeners("data").on("data", (d) => chunks.push(d));
    z.write(Buffer.concat([Buffer.from([0, 0, 0, pairs.length]), ...pairs.flatMap(([k, v]) => [text(k), text(v)])]));
    z.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(chunks)));
  });
  const syn = Buffer.alloc(18);
  syn.writeUInt32BE(0x80030001, 0);
  syn.writeUInt32BE(10 + block.length, 4);
  syn.writeUInt32BE(id, 8);
  return Buffer.concat([syn, block]);
}
