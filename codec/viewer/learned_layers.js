"use strict"
// What the learned codec is made of: layers in exact arithmetic, weights, and the entropy coder. All sums are whole
// numbers that a binary64 holds, and Math.fround rounds each step that is one of binary32.

const ROUNDER = 3 * 2 ** 51 // added and taken off, it rounds to the nearest whole number, ties to even

const clip = (value, low, high) => (value < low ? low : value > high ? high : value)
const roundClipped = (value, low, high) => clip(value, low, high) + ROUNDER - ROUNDER

class Layer {
  constructor(arrays, name) {
    const { values, shape } = arrays[`${name}.w`]
    this.name = name
    this.outputs = shape[1]
    this.taps = name.endsWith(".last") || name === "s.linear" ? 1 : 9
    this.inputs = shape[0] / this.taps
    this.single = values instanceof Int8Array
    this.weights = Float64Array.from(values)
    this.multipliers = arrays[`${name}.m`].values
    this.biases = arrays[`${name}.b`].values
    this.maxInput = arrays[`${name}.max_input`].values[0]
    this.scale = arrays[`${name}.scale`].values[0]
  }

  // The exact sums of one place, whose neighborhood begins at `at` in rows of `stride` numbers.
  sum(x, at, stride, sums) {
    const { weights, outputs, inputs, taps } = this
    sums.fill(0)
    const run = taps === 1 ? inputs : 3 * inputs
    let first = 0
    for (let row = 0; row < (taps === 1 ? 1 : 3); row++, at += stride) {
      for (let i = at; i < at + run; i++, first += outputs) {
        const value = x[i]
        if (value === 0) continue
        for (let o = 0; o < outputs; o++) sums[o] += value * weights[first + o]
      }
    }
  }

  // What the layer gives, in place of the sums.
  finish(sums) {
    const { multipliers, biases, outputs, single } = this
    if (single) for (let o = 0; o < outputs; o++) sums[o] = Math.fround(Math.fround(sums[o] * multipliers[o]) + biases[o])
    else for (let o = 0; o < outputs; o++) sums[o] = sums[o] * multipliers[o] + biases[o]
  }
}

class Weights {
  constructor(arrays) {
    this.arrays = arrays
    this.latentFormat = arrays.latent_format
    this.channels = arrays.channels.values[0]
    this.groups = [...arrays.groups.values]
    this.starts = [0]
    for (const size of this.groups) this.starts.push(this.starts.at(-1) + size)
    this.total = this.starts.at(-1)
    this.canDecode = "s.head.w" in arrays && "c0.first.w" in arrays
    this.layers = new Map()
  }

  layer(name) {
    if (!this.layers.has(name)) this.layers.set(name, new Layer(this.arrays, name))
    return this.layers.get(name)
  }

  get tables() {
    if (!this.cumulative) {
      const lengths = this.arrays["tables.lengths"].values
      const frequencies = this.arrays["tables.frequencies"].values
      let at = 0
      this.cumulative = Array.from(lengths, (length) => {
        const sums = new Uint32Array(length + 1)
        for (let i = 0; i < length; i++) sums[i + 1] = sums[i] + frequencies[at++]
        return sums
      })
    }
    return this.cumulative
  }

  get blocks() {
    return Object.keys(this.arrays).filter((name) => /^s\.\d+\.first\.w$/.test(name)).length
  }
}

class RansReader {
  constructor(tables, data) {
    if (data.length < 4 || data.length % 2) {
      throw formatError(`the coded latent has ${data.length} bytes; it needs an even number, 4 or more`)
    }
    this.tables = tables
    this.data = data
    this.at = 4
    this.state = ((data[0] | (data[1] << 8)) * 65536 + (data[2] | (data[3] << 8))) >>> 0
    if (this.state < 65536) {
      throw formatError(`the coded latent begins with the state ${this.state}; no encoder goes below 65536`)
    }
  }

  advance(frequency, rest) {
    this.state = frequency * (this.state >>> 16) + rest
    if (this.state >= 65536) return
    if (this.at >= this.data.length) {
      throw formatError(`the coded latent ends after ${this.data.length} bytes, before all of it was read`)
    }
    this.state = this.state * 65536 + (this.data[this.at] | (this.data[this.at + 1] << 8))
    this.at += 2
  }

  symbol(number) {
    const cumulative = this.tables[number]
    const reach = cumulative.length / 2 - 1.5
    const slot = this.state % 65536
    let low = 0
    let high = cumulative.length - 1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (cumulative[middle] <= slot) low = middle
      else high = middle
    }
    this.advance(cumulative[low + 1] - cumulative[low], slot - cumulative[low])
    if (low <= 2 * reach) return low - reach
    const count = this.bits(4)
    const far = reach + 2 ** count + this.bits(count)
    return this.bits(1) ? -far : far
  }

  bits(count) {
    if (!count) return 0
    const size = 2 ** (16 - count)
    const slot = this.state % 65536
    const value = Math.floor(slot / size)
    this.advance(size, slot - value * size)
    return value
  }

  close() {
    const left = this.data.length - this.at
    if (this.state !== 65536 || left) {
      throw formatError(
        `the coded latent should end in the state 65536 with its last bytes; it ends in ${this.state} with ${left} left`,
      )
    }
  }
}
