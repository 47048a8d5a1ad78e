// The WebAssembly module that sums and copies bytes of packets, assembled here from its instructions: no build step, nothing
// generated to go stale. WebAssembly core specification 2.0, binary format (chapter 5); SIMD opcodes of section 5.4.8.
// Invariant: `sum(at, end)` equals checksum.ts' sumBytes, folded; it reads nothing outside [at, end).

const I32 = 0x7f;
const V128 = 0x7b;
const VOID = 0x40;

const Op = {
  block: [0x02, VOID],
  loop: [0x03, VOID],
  end: [0x0b],
  br: (depth: number) => [0x0c, depth],
  brIf: (depth: number) => [0x0d, depth],
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  constant: (n: number) => [0x41, ...signed(n)],
  load8u: [0x2d, 0, 0],
  load16u: [0x2f, 0, 0],
  gtU: [0x4b],
  add: [0x6a],
  sub: [0x6b],
  and: [0x71],
  or: [0x72],
  shl: [0x74],
  shrU: [0x76],
  memoryCopy: [0xfc, 10, 0, 0],
  v128Load: (offset: number) => [0xfd, 0x00, 0, offset],
  i32x4ExtractLane: (lane: number) => [0xfd, 0x1b, lane],
  /** Adds neighbouring 16-bit lanes into 32-bit lanes, unsigned. */
  i32x4ExtaddPairwiseI16x8U: [0xfd, 0x7f],
  i32x4Add: [0xfd, 0xae, 0x01],
} as const;

function unsigned(n: number): number[] {
  const out: number[] = [];
  do {
    const rest = n >>> 7;
    out.push((n & 0x7f) | (rest !== 0 ? 0x80 : 0));
    n = rest;
  } while (n !== 0);
  return out;
}

function signed(n: number): number[] {
  const out: number[] = [];
  for (;;) {
    const low = n & 0x7f;
    n >>= 7;
    const done = (n === 0 && (low & 0x40) === 0) || (n === -1 && (low & 0x40) !== 0);
    out.push(done ? low : low | 0x80);
    if (done) return out;
  }
}

const vector = (items: number[][]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body];
const name = (text: string): number[] => vector([...text].map((c) => [c.charCodeAt(0)]));
const type = (params: number[], results: number[]): number[] => [
  0x60,
  ...vector(params.map((p) => [p])),
  ...vector(results.map((r) => [r])),
];
const body = (locals: [count: number, type: number][], code: (readonly number[])[]): number[] => {
  const bytes = [...vector(locals.map(([n, t]) => [n, t])), ...code.flat(), 0x0b];
  return [...unsigned(bytes.length), ...bytes];
};

/** sum(at, end): 64 bytes a turn in four accumulators, then pairs, then the odd byte; folded and turned to big-endian. */
function sumCode(): number[] {
  const [at, end, total] = [0, 1, 2];
  const acc = [3, 4, 5, 6];
  const turn = acc.flatMap((a, i) => [Op.get(a), Op.get(at), Op.v128Load(16 * i), Op.i32x4ExtaddPairwiseI16x8U, Op.i32x4Add, Op.set(a)]);
  const advance = (n: number) => [Op.get(at), Op.constant(n), Op.add, Op.set(at)];
  /** Leaves the loop when fewer than n bytes remain. */
  const unlessLeft = (n: number) => [Op.get(at), Op.constant(n), Op.add, Op.get(end), Op.gtU, Op.brIf(1)];
  const addLanes = [0, 1, 2, 3].flatMap((lane) => [Op.get(3), Op.i32x4ExtractLane(lane), Op.get(total), Op.add, Op.set(total)]);
  // Lanes hold at most 2^17 a turn, a packet has at most 2^10 turns: 2^27 a lane, 2^31 in all.
  const fold = [Op.get(total), Op.constant(0xffff), Op.and, Op.get(total), Op.constant(16), Op.shrU, Op.add, Op.set(total)];
  return body(
    [
      [1, I32],
      [4, V128],
    ],
    [
      [...Op.block, ...Op.loop],
      ...unlessLeft(64),
      ...turn,
      ...advance(64),
      Op.br(0),
      Op.end,
      Op.end,
      [...Op.block, ...Op.loop],
      ...unlessLeft(16),
      Op.get(3),
      Op.get(at),
      Op.v128Load(0),
      Op.i32x4ExtaddPairwiseI16x8U,
      Op.i32x4Add,
      Op.set(3),
      ...advance(16),
      Op.br(0),
      Op.end,
      Op.end,
      ...[4, 5, 6].flatMap((a) => [Op.get(3), Op.get(a), Op.i32x4Add, Op.set(3)]),
      ...addLanes,
      ...fold,
      [...Op.block, ...Op.loop],
      ...unlessLeft(2),
      Op.get(total),
      Op.get(at),
      Op.load16u,
      Op.add,
      Op.set(total),
      ...advance(2),
      Op.br(0),
      Op.end,
      Op.end,
      Op.block,
      [...Op.get(at), ...Op.constant(1), ...Op.add, ...Op.get(end), ...Op.gtU, ...Op.brIf(0)],
      Op.get(total),
      Op.get(at),
      Op.load8u,
      Op.add,
      Op.set(total),
      Op.end,
      ...fold,
      ...fold,
      // Words were read little-endian: swap the folded sum (RFC 1071 2B).
      [...Op.get(total), ...Op.constant(8), ...Op.shl, ...Op.constant(0xff00), ...Op.and],
      [...Op.get(total), ...Op.constant(8), ...Op.shrU, ...Op.or],
    ],
  );
}

const copyCode = (): number[] => body([], [Op.get(0), Op.get(1), Op.get(2), Op.memoryCopy]);

/** The module's bytes: imports net.memory, exports sum(at, end) and copy(to, from, n). */
export function assembleSums(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector([type([I32, I32], [I32]), type([I32, I32, I32], [])])),
    ...section(2, vector([[...name("net"), ...name("memory"), 0x02, 0x00, 0x00]])),
    ...section(3, vector([[0], [1]])),
    ...section(
      7,
      vector([
        [...name("sum"), 0x00, 0],
        [...name("copy"), 0x00, 1],
      ]),
    ),
    ...section(10, vector([sumCode(), copyCode()])),
  ]);
}
