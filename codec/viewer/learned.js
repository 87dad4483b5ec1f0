"use strict"
// The learned codec, pass by pass. All of its arithmetic is integers and single IEEE operations, so every machine gets
// the same bits.

const PASSES = [
  [[0, "corner"]], [[0, "rest"]], [[0, "odd"]], [[0, "cross"], [1, "even"]], [[1, "cross"], [2, "even"]],
  [[2, "cross"], [3, "even"]], [[3, "cross"]],
]
const PHASES = {
  corner: (y, x) => y % 4 === 0 && x % 4 === 0,
  rest: (y, x) => y % 2 === 0 && x % 2 === 0 && !(y % 4 === 0 && x % 4 === 0),
  odd: (y, x) => y % 2 === 1 && x % 2 === 1,
  even: (y, x) => y % 2 === x % 2,
  cross: (y, x) => y % 2 !== x % 2,
}
const MAX_LEARNED_SIDE = 2048
const MAX_COEFFICIENT = 32768
const PATCH_PIXELS = 16
const STRIP = 32 // rows of places that a network works on at a time

// Rows of places from `top` to `bottom`, with `size` numbers a place and zeros around the grid.
class Plane {
  constructor(grid, top, bottom, size) {
    this.top = top
    this.bottom = bottom
    this.size = size
    this.stride = (grid.width + 2) * size
    this.values = new Float64Array((bottom - top + 2) * this.stride)
  }

  // Where a place begins, or its neighborhood.
  at = (y, x) => (y - this.top + 1) * this.stride + (x + 1) * this.size
  around = (y, x) => (y - this.top) * this.stride + x * this.size
}

class LearnedDecoding {
  constructor(weights, quality, height, width, progress = () => {}) {
    Object.assign(this, { weights, quality, height, width, progress })
    this.known = new Int32Array(height * width * weights.total)
    this.flags = new Uint8Array(4 * height * width) // by group, then place
  }

  decode(data) {
    const reader = new RansReader(this.weights.tables, data)
    PASSES.forEach((parts, number) => {
      this.progress(number / (PASSES.length + 1))
      this.pass(reader, number, parts)
    })
    reader.close()
    this.progress(PASSES.length / (PASSES.length + 1))
    return this.synthesis()
  }

  pass(reader, number, parts) {
    const { weights, height, width, quality, known, flags } = this
    const { total, starts, groups, arrays } = weights
    const size = parts.reduce((sum, [group]) => sum + groups[group], 0)
    const means = new Int32Array(height * width * size)
    const tables = new Uint8Array(height * width * size)
    const logSteps = arrays.log_steps.values.subarray(quality * total, (quality + 1) * total)
    const steps = arrays.steps.values.subarray(quality * total, (quality + 1) * total)
    const coefficients = parts.flatMap(([group]) => Array.from({ length: groups[group] }, (_, i) => starts[group] + i))
    const wanted = (y, x) => parts.some(([, phase]) => PHASES[phase](y, x))
    for (let top = 0; top < height; top += STRIP) {
      const bottom = Math.min(height, top + STRIP)
      this.predict(number, top, bottom, wanted, (y, x, out) => {
        const first = (y * width + x) * size
        for (let i = 0; i < size; i++) {
          means[first + i] = roundClipped(out[i], -MAX_COEFFICIENT, MAX_COEFFICIENT)
          tables[first + i] = roundClipped(out[size + i] - logSteps[coefficients[i]], 0, 63)
        }
      })
    }
    const zeroRate = arrays.zero_rate.values[0]
    let offset = 0
    for (const [group, phase] of parts) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          if (!PHASES[phase](y, x)) continue
          const place = y * width + x
          for (let i = 0; i < groups[group]; i++) {
            const at = place * size + offset + i
            const k = starts[group] + i
            const symbol = tables[at] < zeroRate ? 0 : reader.symbol(tables[at])
            known[place * total + k] = clip(means[at] + symbol * steps[k], -MAX_COEFFICIENT, MAX_COEFFICIENT)
          }
          flags[group * height * width + place] = 1
        }
      }
      offset += groups[group]
    }
  }

  // Calls each(y, x, what network `number` gives) at the wanted places of some rows.
  predict(number, top, bottom, wanted, each) {
    const { weights, height, width, quality, known, flags } = this
    const { total } = weights
    const input = this.plane(top - 3, bottom + 3, total + 5)
    for (let y = input.top; y < input.bottom; y++) {
      for (let x = 0; x < width; x++) {
        const place = y * width + x
        const at = input.at(y, x)
        for (let k = 0; k < total; k++) input.values[at + k] = known[place * total + k]
        for (let group = 0; group < 4; group++) {
          input.values[at + total + group] = 256 * flags[group * height * width + place]
        }
        input.values[at + total + 4] = 2 * quality - 256
      }
    }
    const [first, second, third, last] = ["first", "second", "third", "last"].map((name) => weights.layer(`c${number}.${name}`))
    let plane = this.rectified(first, second, input, top - 2, bottom + 2)
    plane = this.rectified(second, third, plane, top - 1, bottom + 1)
    plane = this.rectified(third, last, plane, top, bottom, wanted)
    this.apply(last, plane, top, bottom, each, wanted)
  }

  plane(top, bottom, size) {
    return new Plane(this, Math.max(0, top), Math.min(this.height, bottom), size)
  }

  // Calls each(y, x, what the layer gives) at each place of some rows.
  apply(layer, plane, top, bottom, each, wanted) {
    const out = new Float64Array(layer.outputs)
    const where = layer.taps === 1 ? plane.at : plane.around
    for (let y = Math.max(0, top); y < Math.min(this.height, bottom); y++) {
      for (let x = 0; x < this.width; x++) {
        if (wanted && !wanted(y, x)) continue
        layer.sum(plane.values, where(y, x), plane.stride, out)
        layer.finish(out)
        each(y, x, out)
      }
    }
  }

  // What `next` takes in of what `layer` gives.
  rectified(layer, next, plane, top, bottom, wanted) {
    const found = this.plane(top, bottom, layer.outputs)
    this.apply(layer, plane, top, bottom, (y, x, out) => rectify(out, 0, layer.single, next, found.values, found.at(y, x)), wanted)
    return found
  }

  synthesis() {
    const { weights, height, width, quality, known } = this
    const { total, blocks } = weights
    const factor = PATCH_PIXELS / LATENT_FORMATS.find(({ name }) => name === weights.latentFormat).factor
    const patch = factor * factor
    const channels = weights.channels
    const [rows, columns] = [factor * height, factor * width]
    const latent = new Float32Array(channels * rows * columns)
    for (let top = 0; top < height; top += STRIP) {
      const bottom = Math.min(height, top + STRIP)
      let reach = 2 + 2 * blocks
      const input = this.plane(top - reach, bottom + reach, total + 1)
      const plain = this.plane(top, bottom, total)
      for (let y = input.top; y < input.bottom; y++) {
        for (let x = 0; x < width; x++) {
          const [from, at] = [(y * width + x) * total, input.at(y, x)]
          for (let k = 0; k < total; k++) input.values[at + k] = known[from + k]
          input.values[at + total] = 2 * quality - 256
          if (y < top || y >= bottom) continue
          const to = plain.at(y, x)
          for (let k = 0; k < total; k++) plain.values[to + k] = known[from + k]
        }
      }
      const head = weights.layer("s.head")
      const trunk = this.plane(top - reach + 1, bottom + reach - 1, head.outputs)
      reach--
      const single = new Float32Array(head.outputs)
      this.apply(head, input, top - reach, bottom + reach, (y, x, out) => {
        single.set(out) // rounded to binary32
        trunk.values.set(single, trunk.at(y, x))
      })
      for (let block = 0; block < blocks; block++) {
        const [first, second] = ["first", "second"].map((name) => weights.layer(`s.${block}.${name}`))
        const taken = this.taken(trunk, first, top - reach, bottom + reach)
        const inner = this.rectified(first, second, taken, top - reach + 1, bottom + reach - 1)
        reach -= 2
        this.apply(second, inner, top - reach, bottom + reach, (y, x, out) => {
          const at = trunk.at(y, x)
          for (let o = 0; o < out.length; o++) trunk.values[at + o] = Math.fround(trunk.values[at + o] + out[o])
        })
      }
      const tail = this.taken(trunk, weights.layer("s.tail"), top - 1, bottom + 1)
      const linear = weights.layer("s.linear")
      const beside = new Float64Array(linear.outputs)
      this.apply(weights.layer("s.tail"), tail, top, bottom, (y, x, out) => {
        linear.sum(plain.values, plain.at(y, x), 0, beside)
        linear.finish(beside)
        for (let number = 0; number < out.length; number++) {
          const channel = Math.floor(number / patch)
          const row = factor * y + Math.floor((number % patch) / factor)
          latent[(channel * rows + row) * columns + factor * x + (number % factor)] = beside[number] + out[number]
        }
      })
    }
    return { latent, rows, columns, channels }
  }

  // What a layer takes in of the trunk.
  taken(trunk, layer, top, bottom) {
    const found = this.plane(top, bottom, trunk.size)
    for (let y = found.top; y < found.bottom; y++) {
      for (let x = 0; x < this.width; x++) {
        rectify(trunk.values, trunk.at(y, x), true, layer, found.values, found.at(y, x))
      }
    }
    return found
  }
}

// The whole numbers that `layer` takes in for the values from `from` on; `single` where those are of binary32.
function rectify(values, from, single, layer, out, to) {
  const { scale, maxInput, inputs } = layer
  for (let i = 0; i < inputs; i++) {
    const scaled = values[from + i] * scale
    out[to + i] = roundClipped(single ? Math.fround(scaled) : scaled, 0, maxInput)
  }
}

function parseLearned(section, header, resources) {
  if (section.length < 5) {
    throw formatError(`section L has ${section.length} bytes; weights and quality take 5`)
  }
  const id = hex(section.subarray(0, 4))
  const weights = resources.weights(id)
  const { latentHeight, latentWidth, format } = header
  if (!weights) {
    throw unsupported(
      `the file needs the weights ${id} of the learned codec, which this version does not have; update it`,
    )
  }
  if (weights.latentFormat !== format.name) {
    throw formatError(`the weights ${id} are those for ${weights.latentFormat}, not for ${format.name}`)
  }
  if (Math.max(latentHeight, latentWidth) > MAX_LEARNED_SIDE) {
    throw formatError(
      `the latent is ${latentWidth} x ${latentHeight}; the learned codec has sides up to ${MAX_LEARNED_SIDE}`,
    )
  }
  const side = PATCH_PIXELS / format.factor
  const [rows, columns] = [latentHeight, latentWidth].map((count) => Math.ceil(count / side))
  const payload = section.subarray(5)
  const most = 4 + 5 * rows * columns * weights.total
  if (payload.length > most) {
    throw formatError(
      `the coded latent has ${payload.length} bytes; no encoder writes more than ${most} for ${latentWidth} x ` +
        `${latentHeight}`,
    )
  }
  return {
    describe: `learned codec, quality ${Math.round(1 + (section[4] * 99) / 255)}`,
    weights: id,
    canDecode: weights.canDecode,
    // The latent, (C, H, W).
    decode(progress) {
      if (!weights.canDecode) {
        throw unsupported(`this page has no weights ${id} of the learned codec; ComfyUI with the pack decodes the file`)
      }
      const decoding = new LearnedDecoding(weights, section[4], rows, columns, progress)
      return cropLatent(decoding.decode(payload), latentHeight, latentWidth)
    },
  }
}

function cropLatent({ latent, rows, columns, channels }, height, width) {
  if (rows === height && columns === width) return latent
  const cropped = new Float32Array(channels * height * width)
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      const from = (channel * rows + y) * columns
      cropped.set(latent.subarray(from, from + width), (channel * height + y) * width)
    }
  }
  return cropped
}
