"use strict"
// The archive coder's tables, and the reader of what it has coded. All numbers are whole and below 2^53.

const ARCHIVE_RATIOS = [
  2385, 2936, 3495, 4061, 4924, 6098, 7295, 8513, 10367, 12863, 15344, 17765, 21210, 25351, 28944, 32034, 35881, 39888,
  42977, 45419, 48244, 50984, 52980, 54497, 56193, 57783, 58911, 59753,
]
const MAX_SYMBOLS = 127 // besides the escape
const ESCAPE_BITS = 24
const LOWEST_STATE = 1 << 16

// Frequencies of the symbols of a logistic distribution, the escape last, which add up to 4096.
function logisticFrequencies(ratio) {
  const one = 1n << 48n
  const g = BigInt(ratio)
  let power = g << 32n
  const tails = []
  for (let m = 0; m <= MAX_SYMBOLS >> 1; m++, power = (power * g * g) >> 32n) tails.push((power << 48n) / (one + power))
  const weights = [one - 2n * tails[0]]
  for (let m = 0; m < MAX_SYMBOLS >> 1; m++) weights.push(tails[m] - tails[m + 1], tails[m] - tails[m + 1])
  let count = 1
  const left = (from) => weights.slice(from).reduce((sum, weight) => sum + weight, 0n)
  while (count < MAX_SYMBOLS && left(count) > 1n << 36n) count += 2
  const found = weights.slice(0, count).map((weight) => 1 + Number((weight * BigInt(4096 - count - 1)) / one))
  found.push(1)
  found[0] += 4096 - found.reduce((sum, frequency) => sum + frequency, 0)
  return found
}

let archiveTablesMade

// By table: how many symbols there are before the escape; by table and slot: symbol, its frequency, slot - start.
function archiveTables() {
  if (archiveTablesMade) return archiveTablesMade
  const size = 4096 * ARCHIVE_RATIOS.length
  const made = {
    escapes: [], symbols: new Uint8Array(size), frequencies: new Uint16Array(size), rests: new Uint16Array(size),
  }
  let at = 0
  for (const ratio of ARCHIVE_RATIOS) {
    const frequencies = logisticFrequencies(ratio)
    made.escapes.push(frequencies.length - 1)
    frequencies.forEach((frequency, symbol) => {
      for (let i = 0; i < frequency; i++, at++) {
        made.symbols[at] = symbol
        made.frequencies[at] = frequency
        made.rests[at] = i
      }
    })
  }
  return (archiveTablesMade = made)
}

const archiveLanes = (elements) => Math.min(Math.max(Math.floor(elements / 1024), 1), 4096)

// The step of a scale on the ladder, four to the octave.
function ladderStep(scale) {
  if (scale < 64) return 0
  const octave = scale < 2 ** 32 ? 31 - Math.clz32(scale) : 63 - Math.clz32(scale / 2 ** 32)
  return 4 * (octave - 6) + (Math.floor(scale / 2 ** (octave - 2)) % 4)
}

const leastScale = (step) => (4 + (step % 4)) * 2 ** (4 + Math.floor(step / 4))

class ArchiveReader {
  constructor(coded, lanes) {
    const head = 4 * lanes + 4
    if (coded.length < head) {
      throw formatError(`section N has ${coded.length} coded bytes; its states alone take ${head}`)
    }
    const count = littleEndian(coded, head - 4, 4)
    if (coded.length < head + 2 * count) {
      throw formatError(`section N has ${coded.length} coded bytes and needs ${head + 2 * count}: it ends too early`)
    }
    this.states = Uint32Array.from({ length: lanes }, (_, lane) => littleEndian(coded, 4 * lane, 4))
    const lowest = this.states.reduce((least, state) => Math.min(least, state), Infinity)
    if (lowest < LOWEST_STATE) {
      throw formatError(`section N begins with the state ${lowest}; no encoder goes below ${LOWEST_STATE}`)
    }
    this.lanes = lanes
    this.words = coded.subarray(head, head + 2 * count)
    this.bits = coded.subarray(head + 2 * count)
    this.word = 0 // bytes read of `words`
    this.bit = 0
  }

  // The vector of integers that was coded by these steps, in a Float64Array.
  take(steps) {
    const count = steps.length
    const { escapes } = archiveTables()
    const shifts = new Uint8Array(count)
    const numbers = new Uint8Array(count)
    let most = 0
    for (let i = 0; i < count; i++) {
      shifts[i] = steps[i] < ARCHIVE_RATIOS.length ? 0 : (steps[i] - 24) >> 2
      numbers[i] = steps[i] - 4 * shifts[i]
      if (shifts[i] > most) most = shifts[i]
    }
    const found = this.takeSymbols(numbers)
    for (let i = 0; i < count; i++) {
      if (found[i] === escapes[numbers[i]]) found[i] += this.takeBits(ESCAPE_BITS)
    }
    if (most) {
      for (let i = 0; i < count; i++) found[i] *= 2 ** shifts[i]
      for (let bit = 0; bit < most; bit++) {
        for (let i = 0; i < count; i++) if (shifts[i] > bit) found[i] += 2 ** bit * this.takeBits(1)
      }
    }
    for (let i = 0; i < count; i++) {
      const folded = found[i] // 0, -1, 1, -2, 2 ... are 0, 1, 2, 3, 4
      found[i] = folded % 2 ? -(folded + 1) / 2 : folded / 2
    }
    return found
  }

  takeSymbols(numbers) {
    const { symbols, frequencies, rests } = archiveTables()
    const { lanes, states, words } = this
    const found = new Float64Array(numbers.length)
    for (let first = 0; first < numbers.length; first += lanes) {
      const count = Math.min(lanes, numbers.length - first)
      for (let lane = 0; lane < count; lane++) {
        const state = states[lane]
        const slot = 4096 * numbers[first + lane] + (state & 4095)
        found[first + lane] = symbols[slot]
        const next = frequencies[slot] * (state >>> 12) + rests[slot]
        if (next >= LOWEST_STATE) {
          states[lane] = next
          continue
        }
        if (this.word >= words.length) throw formatError(`the ${words.length / 2} words of section N end too early`)
        states[lane] = next * 65536 + (words[this.word] | (words[this.word + 1] << 8))
        this.word += 2
      }
    }
    return found
  }

  takeBits(count) {
    if (this.bit + count > 8 * this.bits.length) {
      throw formatError(`the ${this.bits.length} bytes of bits in section N end too early`)
    }
    let value = 0
    for (let i = 0; i < count; i++, this.bit++) value += ((this.bits[this.bit >> 3] >> (this.bit & 7)) & 1) * 2 ** i
    return value
  }

  finish() {
    if (this.states.some((state) => state !== LOWEST_STATE) || this.word !== this.words.length) {
      throw formatError("section N is damaged: its words do not end where its integers do")
    }
    const left = 8 * this.bits.length - this.bit
    if (left >= 8 || (left && this.takeBits(left))) throw formatError("section N has bytes after its last integer")
  }
}
