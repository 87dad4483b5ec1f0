"use strict"
// XXH64 with seed 0, the checksum of a Zstandard frame.

function xxh64(data) {
  const MASK = (1n << 64n) - 1n
  const [P1, P2, P3, P4, P5] = [
    0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n,
  ]
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const turn = (value, bits) => ((value << bits) | (value >> (64n - bits))) & MASK
  const round = (lane, word) => (turn((lane + word * P2) & MASK, 31n) * P1) & MASK
  let at = 0
  let hash = P5
  if (data.length >= 32) {
    const lanes = [(P1 + P2) & MASK, P2, 0n, (MASK + 1n - P1) & MASK]
    for (; at + 32 <= data.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true))
    }
    hash = (turn(lanes[0], 1n) + turn(lanes[1], 7n) + turn(lanes[2], 12n) + turn(lanes[3], 18n)) & MASK
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK
  }
  hash = (hash + BigInt(data.length)) & MASK
  for (; at + 8 <= data.length; at += 8) {
    hash = (turn(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4) & MASK
  }
  if (at + 4 <= data.length) {
    hash = (turn(hash ^ ((BigInt(view.getUint32(at, true)) * P1) & MASK), 23n) * P2 + P3) & MASK
    at += 4
  }
  for (; at < data.length; at++) hash = (turn(hash ^ ((BigInt(data[at]) * P5) & MASK), 11n) * P1) & MASK
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK
  return hash ^ (hash >> 32n)
}
