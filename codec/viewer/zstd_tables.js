"use strict"
// What a Zstandard frame is coded by (RFC 8878, section 4): finite state entropy, Huffman codes, backward bits.

class ZstdError extends Error {}

function corrupt(reason) {
  throw new ZstdError(reason)
}

const highestBit = (value) => 31 - Math.clz32(value)

// --- tables of finite state entropy ---

// (symbol, bits to read, base of the next state) of each state
function makeStates(counts, log) {
  const size = 1 << log
  const symbols = new Uint16Array(size)
  const next = counts.map((count) => Math.abs(count))
  let high = size - 1
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[high--] = symbol
  })
  const step = (size >> 1) + (size >> 3) + 3
  let position = 0
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[position] = symbol
      do position = (position + step) & (size - 1)
      while (position > high)
    }
  })
  const bits = new Uint8Array(size)
  const bases = new Uint16Array(size)
  for (let state = 0; state < size; state++) {
    const count = next[symbols[state]]++
    bits[state] = log - highestBit(count)
    bases[state] = (count << bits[state]) - size
  }
  return { symbols, bits, bases, log }
}

const oneSymbol = (symbol) => ({
  symbols: Uint16Array.of(symbol), bits: Uint8Array.of(0), bases: Uint16Array.of(0), log: 0,
})

// Read the counts of a table from data[start..end]; gives the table and where it ends.
function readStates(data, start, end, maxSymbol, maxLog) {
  let position = 8 * start
  const peek = (count) => {
    let value = 0
    for (let i = 0; i < count; i++) {
      const at = position + i
      if (at >> 3 < end) value |= ((data[at >> 3] >> (at & 7)) & 1) << i
    }
    return value
  }
  const log = peek(4) + 5
  position += 4
  if (log > maxLog) corrupt("an entropy table is too fine")
  const counts = []
  let remaining = 1 << log
  while (remaining > 0) {
    if (counts.length > maxSymbol) corrupt("an entropy table has too many symbols")
    const bits = highestBit(remaining + 1) + 1
    const lower = (1 << (bits - 1)) - 1
    const threshold = (1 << bits) - 2 - remaining
    let value = peek(bits)
    if ((value & lower) < threshold) {
      position += bits - 1
      value &= lower
    } else {
      position += bits
      if (value > lower) value -= threshold
    }
    const count = value - 1
    remaining -= Math.abs(count)
    counts.push(count)
    if (count !== 0) continue
    let repeat
    do {
      repeat = peek(2)
      position += 2
      for (let i = 0; i < repeat; i++) counts.push(0)
    } while (repeat === 3 && position < 8 * end)
  }
  const after = (position + 7) >> 3
  if (remaining < 0 || counts.length > maxSymbol + 1 || after > end) corrupt("an entropy table is damaged")
  return { table: makeStates(counts, log), after }
}

// --- bits from the end to the start, as all streams of zstd are read ---

class BackwardBits {
  constructor(data, start, end) {
    if (start >= end || !data[end - 1]) corrupt("a stream of bits has no end mark")
    this.data = data
    this.start = start
    this.left = 8 * (end - start) - Math.clz32(data[end - 1]) + 23
  }

  // The `count` bits, 25 at most, above bit `at`; those before the stream are 0.
  at(at, count) {
    if (at < 0) return at + count <= 0 ? 0 : this.at(0, at + count) << -at
    const byte = this.start + (at >> 3)
    const { data } = this
    const word = data[byte] | (data[byte + 1] << 8) | (data[byte + 2] << 16) | (data[byte + 3] << 24)
    return (word >>> (at & 7)) & ((1 << count) - 1)
  }

  read(count) {
    if (count > 24) {
      const high = this.read(count - 16)
      return high * 65536 + this.read(16)
    }
    this.left -= count
    return this.at(this.left, count)
  }
}

// --- Huffman codes of literals ---

function huffmanTable(weights) {
  const sum = weights.reduce((total, weight) => total + (weight ? 1 << (weight - 1) : 0), 0)
  if (!sum) corrupt("a Huffman table is empty")
  const maxBits = highestBit(sum) + 1
  const left = (1 << maxBits) - sum
  if (maxBits > 11 || left & (left - 1) || weights.length > 255) corrupt("a Huffman table is damaged")
  const all = [...weights, highestBit(left) + 1]
  const symbols = new Uint8Array(1 << maxBits)
  const bits = new Uint8Array(1 << maxBits)
  let position = 0
  for (let weight = 1; weight <= maxBits; weight++) {
    all.forEach((own, symbol) => {
      if (own !== weight) return
      const span = 1 << (weight - 1)
      symbols.fill(symbol, position, position + span)
      bits.fill(maxBits + 1 - weight, position, position + span)
      position += span
    })
  }
  return { symbols, bits, maxBits }
}

function readHuffman(data, start, end) {
  if (start >= end) corrupt("a Huffman table is missing")
  const header = data[start]
  const weights = []
  if (header >= 128) {
    const count = header - 127
    const after = start + 1 + ((count + 1) >> 1)
    if (after > end) corrupt("a Huffman table is cut short")
    for (let i = 0; i < count; i++) weights.push((data[start + 1 + (i >> 1)] >> (i & 1 ? 0 : 4)) & 15)
    return { table: huffmanTable(weights), after }
  }
  const after = start + 1 + header
  if (after > end) corrupt("a Huffman table is cut short")
  const { table, after: first } = readStates(data, start + 1, after, 255, 6)
  const bits = new BackwardBits(data, first, after)
  const states = [bits.read(table.log), bits.read(table.log)]
  if (bits.left < 0) corrupt("a Huffman table is cut short")
  for (let turn = 0; ; turn ^= 1) {
    if (weights.length > 254) corrupt("a Huffman table has too many weights")
    const state = states[turn]
    weights.push(table.symbols[state])
    states[turn] = table.bases[state] + bits.read(table.bits[state])
    if (bits.left < 0) {
      weights.push(table.symbols[states[turn ^ 1]])
      break
    }
  }
  return { table: huffmanTable(weights), after }
}

const littleEndian = (data, at, count) => {
  let value = 0
  for (let i = count - 1; i >= 0; i--) value = value * 256 + (data[at + i] ?? 0)
  return value
}
