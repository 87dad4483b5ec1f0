"use strict"
// The small decoder by WebAssembly.

const COLUMNS = 96 // pixels whose neighborhoods stay in the processor's cache while all outputs are made

class WasmDecoder {
  static name = "WebAssembly"

  constructor(arrays) {
    this.layers = decoderLayers()
    this.memory = new WebAssembly.Memory({ initial: 1 })
    this.end = 16
    this.variants = this.layers.map((layer) => layerVariants(arrays, layer).map((variant) => this.place(variant)))
    this.kernels = new Map([LATENT_CHANNELS, CHANNELS].map((inputs) => [inputs, makeKernel(inputs, this.memory)]))
  }

  allocate(bytes) {
    const start = this.end
    this.end += Math.ceil(bytes / 16) * 16
    const missing = this.end - this.memory.buffer.byteLength
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536))
    return start
  }

  // Put weights into the memory, in groups of 8 outputs.
  place({ phase, taps, values, bias, inputs, outputs }) {
    const groups = Math.ceil(outputs / OUTPUTS)
    const weights = this.allocate(4 * taps.length * inputs * groups * OUTPUTS)
    const biases = this.allocate(4 * groups * OUTPUTS)
    const offsets = this.allocate(4 * taps.length)
    const to = new Float32Array(this.memory.buffer, weights, taps.length * inputs * groups * OUTPUTS)
    let at = 0
    for (let group = 0; group < groups; group++) {
      for (let i = 0; i < taps.length * inputs; i++) {
        for (let o = group * OUTPUTS; o < (group + 1) * OUTPUTS; o++) to[at++] = o < outputs ? values[i * outputs + o] : 0
      }
    }
    new Float32Array(this.memory.buffer, biases, outputs).set(bias)
    return { phase, taps, inputs, groups, weights, biases, offsets }
  }

  // Buffers of the plan: A, B and C of each level with a ring of zeros. Those of a level lie behind A of the level above,
  // whose B and C come to be when they are needed no more.
  buffers({ areas, input, rects }) {
    const make = (area, channels) => {
      const stride = 4 * channels * (area.right - area.left + 2)
      return { ...area, channels, stride, bytes: stride * (area.bottom - area.top + 2) }
    }
    const kept = this.end
    const found = [{}, {}, {}, {}]
    const sizes = areas.map((area) => make(area, CHANNELS))
    let from = this.allocate(sizes.reduce((below, { bytes }) => bytes + Math.max(2 * bytes, below), 0))
    for (let level = 3; level >= 0; level--) {
      const size = sizes[level]
      for (const [number, name] of ["A", "B", "C"].entries()) {
        found[level][name] = { ...size, start: from + number * size.bytes }
      }
      from = found[level].B.start
    }
    const latent = make(input, LATENT_CHANNELS)
    found[0].in = { ...latent, start: this.allocate(latent.bytes) }
    found[3].out = { ...make(rects.at(-1), OUTPUTS) }
    found[3].out.start = this.allocate(found[3].out.bytes)
    this.end = kept // for the next tile
    return found
  }

  // Pixels (RGBA) of a tile.
  async run(latent, height, width, tile) {
    const plan = planTile(this.layers, tile, height, width)
    const buffers = this.buffers(plan)
    const bytes = new Uint8Array(this.memory.buffer)
    const clear = ({ start, bytes: size }) => bytes.fill(0, start, start + size)
    const source = buffers[0].in
    clear(source)
    const values = networkInput(latent, height, width, source)
    const row = LATENT_CHANNELS * (source.right - source.left)
    for (let y = 0; y < source.bottom - source.top; y++) {
      const at = source.start + (y + 1) * source.stride + 4 * LATENT_CHANNELS
      new Float32Array(this.memory.buffer, at, row).set(values.subarray(y * row, (y + 1) * row))
    }
    const begun = new Set()
    this.layers.forEach((layer, number) => {
      const from = buffers[layer.up ? layer.level - 1 : layer.level][layer.from]
      const to = buffers[layer.level][layer.to]
      if (!begun.has(to)) clear(to)
      begun.add(to)
      for (const variant of this.variants[number]) this.convolve(layer, variant, from, to, plan.rects[number])
    })
    const out = buffers[3].out
    const columns = out.right - out.left
    const pixels = new Uint8ClampedArray(4 * columns * (out.bottom - out.top))
    for (let y = 0; y < out.bottom - out.top; y++) {
      const at = out.start + (y + 1) * out.stride + 4 * OUTPUTS
      pixels.set(toPixels(new Float32Array(this.memory.buffer, at, columns * OUTPUTS), columns, OUTPUTS), 4 * columns * y)
    }
    return pixels
  }

  convolve(layer, { phase, taps, inputs, groups, weights, biases, offsets }, from, to, rect) {
    const step = phase ? 2 : 1
    const { y: phaseY, x: phaseX } = phase ?? { y: 0, x: 0 }
    // Of the level that is read.
    const first = Math.ceil((rect.top - phaseY) / step)
    const left = Math.ceil((rect.left - phaseX) / step)
    const after = Math.ceil((rect.bottom - phaseY) / step)
    const right = Math.ceil((rect.right - phaseX) / step)
    taps.forEach(([y, x], number) => {
      new Int32Array(this.memory.buffer, offsets, taps.length)[number] = y * from.stride + 4 * x * from.channels
    })
    const kernel = this.kernels.get(inputs)
    for (let start = left; start < right; start += COLUMNS) {
      const pixels = Math.min(COLUMNS, right - start)
      for (let y = first; y < after; y++) {
        const x = from.start + (y - from.top + 1) * from.stride + 4 * from.channels * (start - from.left + 1)
        const outY = step * y + phaseY - to.top + 1
        const outX = step * start + phaseX - to.left + 1
        const out = to.start + outY * to.stride + 4 * to.channels * outX
        kernel(
          x, weights, biases, out, pixels, groups, offsets, offsets + 4 * taps.length, 4 * to.channels * step,
          layer.add ? 1 : 0, layer.relu ? 1 : 0,
        )
      }
    }
  }
}
