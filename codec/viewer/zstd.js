"use strict"
// One Zstandard frame (RFC 8878), with or without a dictionary; every cost is bounded before it arises.

const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd]
const ZSTD_MAX_WINDOW = 1 << 23
const ZSTD_MAX_BLOCK = 1 << 17
const DICTIONARY_MAGIC = 0xec30a437

// --- literals ---

function readHuffmanStream(table, data, start, end, out, from, to) {
  const bits = new BackwardBits(data, start, end)
  const { symbols, bits: lengths, maxBits } = table
  for (let i = from; i < to; i++) {
    const index = bits.at(bits.left - maxBits, maxBits)
    out[i] = symbols[index]
    bits.left -= lengths[index]
  }
  if (bits.left !== 0) corrupt("literals do not fill their stream")
}

function readLiterals(data, start, end, tables, maxBlock) {
  if (start >= end) corrupt("a block is empty")
  const kind = data[start] & 3
  const format = (data[start] >> 2) & 3
  let literals, after
  if (kind < 2) {
    const bytes = [1, 2, 1, 3][format]
    const size = littleEndian(data, start, bytes) >> (bytes === 1 ? 3 : 4)
    after = start + bytes + (kind ? 1 : size)
    if (after > end || size > maxBlock) corrupt("literals are cut short")
    literals = kind ? new Uint8Array(size).fill(data[after - 1]) : data.subarray(after - size, after)
    return { literals, after }
  }
  const bytes = [3, 3, 4, 5][format]
  const width = [10, 10, 14, 18][format]
  const header = littleEndian(data, start, bytes)
  const size = Math.floor(header / 16) % 2 ** width
  const packed = Math.floor(header / 2 ** (4 + width)) % 2 ** width
  let at = start + bytes
  after = at + packed
  if (after > end || size > maxBlock) corrupt("literals are cut short")
  if (kind === 2) {
    const found = readHuffman(data, at, after)
    tables.huffman = found.table
    at = found.after
  }
  if (!tables.huffman) corrupt("literals repeat a table that is not there")
  literals = new Uint8Array(size)
  if (format === 0) {
    readHuffmanStream(tables.huffman, data, at, after, literals, 0, size)
    return { literals, after }
  }
  const part = (size + 3) >> 2
  const first = at + 6
  if (first > after || 3 * part > size) corrupt("literals are cut short")
  let position = first
  for (let stream = 0; stream < 4; stream++) {
    const next = stream < 3 ? position + littleEndian(data, at + 2 * stream, 2) : after
    if (next > after) corrupt("literals are cut short")
    const to = stream < 3 ? part * (stream + 1) : size
    readHuffmanStream(tables.huffman, data, position, next, literals, part * stream, to)
    position = next
  }
  return { literals, after }
}

// --- sequences ---

const steps = (first, bits) => {
  const bases = []
  for (const count of bits) {
    bases.push(first)
    first += 2 ** count
  }
  return bases
}
const LITERAL_BITS = [...Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const MATCH_BITS = [
  ...Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
]
const LITERAL_BASES = steps(0, LITERAL_BITS)
const MATCH_BASES = steps(3, MATCH_BITS)
const LITERAL_COUNTS = [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
]
const MATCH_COUNTS = [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array(37).fill(1), ...Array(7).fill(-1)]
const OFFSET_COUNTS = [1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array(15).fill(1), ...Array(5).fill(-1)]
// name, states of the predefined table, highest symbol, finest table
const SEQUENCE_TABLES = [
  ["literalLengths", makeStates(LITERAL_COUNTS, 6), 35, 9],
  ["offsets", makeStates(OFFSET_COUNTS, 5), 31, 8],
  ["matchLengths", makeStates(MATCH_COUNTS, 6), 52, 9],
]

function readSequenceHeader(data, at, end, tables) {
  if (at >= end) corrupt("sequences are missing")
  let count = data[at++]
  if (count >= 128) {
    const bytes = count === 255 ? 2 : 1
    if (at + bytes > end) corrupt("sequences are cut short")
    count = count === 255 ? littleEndian(data, at, 2) + 0x7f00 : ((count - 128) << 8) + data[at]
    at += bytes
  }
  if (!count) return { count, at }
  if (at >= end) corrupt("sequences are cut short")
  const modes = data[at++]
  if (modes & 3) corrupt("reserved bits are set")
  SEQUENCE_TABLES.forEach(([name, predefined, maxSymbol, maxLog], number) => {
    const mode = (modes >> (6 - 2 * number)) & 3
    if (mode === 0) tables[name] = predefined
    else if (mode === 1) {
      if (at >= end || data[at] > maxSymbol) corrupt("a table of one symbol is damaged")
      tables[name] = oneSymbol(data[at++])
    } else if (mode === 2) {
      const found = readStates(data, at, end, maxSymbol, maxLog)
      tables[name] = found.table
      at = found.after
    } else if (!tables[name]) corrupt("a block repeats a table that is not there")
  })
  return { count, at }
}

class Output {
  constructor(limit, dictionary, room) {
    this.limit = limit
    this.history = dictionary ?? new Uint8Array(0)
    this.bytes = new Uint8Array(Math.min(limit, room))
    this.size = 0
  }

  reserve(count) {
    const needed = this.size + count
    if (needed > this.limit) corrupt("there is more content than may be here")
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.min(this.limit, Math.max(needed, 2 * this.bytes.length)))
    larger.set(this.bytes)
    this.bytes = larger
  }

  append(bytes) {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.size)
    this.size += bytes.length
  }

  copy(offset, length) {
    this.reserve(length)
    const { bytes, history } = this
    let from = this.size - offset
    if (from + history.length < 0) corrupt("a match begins before the content")
    for (let i = 0; i < length; i++, from++) {
      bytes[this.size++] = from < 0 ? history[history.length + from] : bytes[from]
    }
  }
}

function runSequences(count, data, at, end, literals, tables, out) {
  const { literalLengths, offsets, matchLengths, recent } = tables
  const bits = new BackwardBits(data, at, end)
  let literalState = bits.read(literalLengths.log)
  let offsetState = bits.read(offsets.log)
  let matchState = bits.read(matchLengths.log)
  let used = 0
  for (let number = 0; number < count; number++) {
    const offsetCode = offsets.symbols[offsetState]
    const matchCode = matchLengths.symbols[matchState]
    const literalCode = literalLengths.symbols[literalState]
    if (offsetCode > 31) corrupt("an offset is too large")
    let offset = 2 ** offsetCode + bits.read(offsetCode)
    const matchLength = MATCH_BASES[matchCode] + bits.read(MATCH_BITS[matchCode])
    const literalLength = LITERAL_BASES[literalCode] + bits.read(LITERAL_BITS[literalCode])
    if (offset > 3) {
      offset -= 3
      recent.unshift(offset)
      recent.pop()
    } else {
      const place = offset - 1 + (literalLength === 0 ? 1 : 0)
      offset = place < 3 ? recent[place] : recent[0] - 1
      if (offset < 1) corrupt("an offset is 0")
      if (place > 0) {
        recent.splice(Math.min(place, 2), 1)
        recent.unshift(offset)
      }
    }
    if (used + literalLength > literals.length) corrupt("sequences use more literals than there are")
    out.append(literals.subarray(used, used + literalLength))
    used += literalLength
    out.copy(offset, matchLength)
    if (number === count - 1) break
    literalState = literalLengths.bases[literalState] + bits.read(literalLengths.bits[literalState])
    matchState = matchLengths.bases[matchState] + bits.read(matchLengths.bits[matchState])
    offsetState = offsets.bases[offsetState] + bits.read(offsets.bits[offsetState])
  }
  if (bits.left !== 0) corrupt("sequences do not fill their stream")
  out.append(literals.subarray(used))
}

// --- frames and dictionaries ---

function parseDictionary(data) {
  if (littleEndian(data, 0, 4) !== DICTIONARY_MAGIC) corrupt("not a dictionary")
  const tables = {}
  const huffman = readHuffman(data, 8, data.length)
  tables.huffman = huffman.table
  let at = huffman.after
  for (const number of [1, 2, 0]) {
    const [name, , maxSymbol, maxLog] = SEQUENCE_TABLES[number]
    const found = readStates(data, at, data.length, maxSymbol, maxLog)
    tables[name] = found.table
    at = found.after
  }
  tables.recent = [0, 4, 8].map((offset) => littleEndian(data, at + offset, 4))
  return { tables, content: data.subarray(at + 12) }
}

// The header of a frame that begins with the magic number; raises ZstdError where it is damaged.
function frameHeader(frame) {
  const descriptor = frame[4]
  if (frame.length < 5) corrupt("could not get frame header; not enough data")
  const single = (descriptor >> 5) & 1
  const nameBytes = [0, 1, 2, 4][descriptor & 3]
  const sizeBytes = [single, 2, 4, 8][descriptor >> 6]
  const end = 5 + (single ? 0 : 1) + nameBytes + sizeBytes
  if (frame.length < end) corrupt("could not get frame header; not enough data")
  if (descriptor & 8) corrupt("unsupported frame parameter")
  let at = single ? 5 : 6
  const dictionary = littleEndian(frame, at, nameBytes)
  at += nameBytes
  const declared = sizeBytes ? littleEndian(frame, at, sizeBytes) + (sizeBytes === 2 ? 256 : 0) : undefined
  let window = declared
  if (!single) {
    if (frame[5] >> 3 > 21) corrupt("frame requires too much memory for decoding")
    const base = 2 ** (10 + (frame[5] >> 3))
    window = base + (base / 8) * (frame[5] & 7)
  }
  return { dictionary, declared, window, checksum: (descriptor >> 2) & 1, end }
}

// The content of a frame whose header is known: at most `limit` bytes.
function inflateFrame(frame, header, limit, dictionary) {
  const out = new Output(header.declared ?? limit, dictionary?.content, header.declared ?? 1 << 16)
  const tables = { ...dictionary?.tables, recent: [...(dictionary?.tables.recent ?? [1, 4, 8])] }
  const maxBlock = Math.min(header.window, ZSTD_MAX_BLOCK)
  let at = header.end
  for (let last = 0; !last; ) {
    if (at + 3 > frame.length) corrupt("the frame is cut short")
    const block = littleEndian(frame, at, 3)
    at += 3
    last = block & 1
    const kind = (block >> 1) & 3
    const size = block >> 3
    if (kind === 3 || size > maxBlock) corrupt("a block is damaged")
    const after = at + (kind === 1 ? 1 : size)
    if (after > frame.length) corrupt("the frame is cut short")
    const before = out.size
    if (kind === 0) out.append(frame.subarray(at, after))
    else if (kind === 1) {
      out.reserve(size)
      out.bytes.fill(frame[at], out.size, out.size + size)
      out.size += size
    } else {
      const { literals, after: start } = readLiterals(frame, at, after, tables, maxBlock)
      const { count, at: first } = readSequenceHeader(frame, start, after, tables)
      if (count) runSequences(count, frame, first, after, literals, tables, out)
      else if (first === after) out.append(literals)
      else corrupt("a block has bytes after its literals")
    }
    if (out.size - before > maxBlock) corrupt("a block has too much content")
    at = after
  }
  const content = out.bytes.subarray(0, out.size)
  if (header.declared !== undefined && out.size !== header.declared) corrupt("there is less content than declared")
  if (header.checksum) {
    if (at + 4 > frame.length) corrupt("the frame is cut short")
    if (littleEndian(frame, at, 4) !== Number(xxh64(content) & 0xffffffffn)) corrupt("the checksum is wrong")
    at += 4
  }
  if (at !== frame.length) corrupt("something follows the frame")
  return content
}

// As `decompress` in zstd_frame.py: exactly one frame that fills `frame`, of at most `limit` bytes of content.
function inflate(frame, limit, what, dictionary) {
  if (frame.length < 4 || ZSTD_MAGIC.some((byte, i) => frame[i] !== byte)) {
    const start = hex(frame.subarray(0, 4), " ") || "nothing"
    throw formatError(`the ${what} should be a zstd frame but start with ${start}`)
  }
  try {
    let header
    try {
      header = frameHeader(frame)
    } catch (error) {
      if (!(error instanceof ZstdError)) throw error
      throw formatError(`the ${what} have a damaged zstd frame header (${error.message})`)
    }
    if (header.dictionary) {
      throw formatError(`the ${what} ask for zstd dictionary ${header.dictionary}; version 1 names none`)
    }
    if (header.declared > limit) {
      throw formatError(`the ${what} declare ${header.declared} bytes; at most ${limit} may be here`)
    }
    if (header.window > ZSTD_MAX_WINDOW) {
      throw formatError(`the ${what} need a zstd window of ${header.window} bytes; 8 MiB is the most`)
    }
    return inflateFrame(frame, header, limit, dictionary)
  } catch (error) {
    if (!(error instanceof ZstdError)) throw error
    throw formatError(`the ${what} are not one zstd frame of at most ${limit} bytes (${error.message})`)
  }
}
