"use strict"
// The archive coder: integers times a step, each predicted from its neighbors, from other channels and other frames.

const ARCHIVE_HEAD = 9
const MAX_INTEGER = 1 << 20
const MAX_FLOAT = (2 - 2 ** -23) * 2 ** 127 // of 32 bits
const MEAN_STEP = 40 // of the ladder, by which means are coded, and all other fitted numbers
const FITTED_STEP = 24
const MAX_LADDER_STEP = 127
const MAX_WEIGHT = 127
const MAX_SCALE_WEIGHT = 255
const MAX_EARLIER = 32 // channels that one is predicted from
const SCALE_CHANNELS = 4 // whose residuals count for the scale
const USUAL_SCALES = [12, 20, 6, 3, 3]

const isLater = (kind) => kind.startsWith("later")
const setsOf = (frames) => ["diagonal", "straight", "later diagonal", "later straight"].slice(0, frames > 1 ? 4 : 2)

// How many numbers a set of weights has: of the neighbors, of earlier channels, of other frames, of scales.
function sizesOf(channels, later) {
  let earlier = 0
  for (let channel = 0; channel < channels; channel++) earlier += Math.min(channel, MAX_EARLIER)
  return [3 * channels, earlier, later ? channels : 0, channels * (later ? 5 : 4)]
}

const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0)

function parseArchive(section, header) {
  const { channels, latentHeight, latentWidth } = header
  const frames = header.frames ?? 1
  const shape = `(${channels}, ${frames}, ${latentHeight}, ${latentWidth})`
  if (section.length < ARCHIVE_HEAD) {
    throw formatError(`section N has ${section.length} bytes; its head takes ${ARCHIVE_HEAD}`)
  }
  const step = new DataView(section.buffer, section.byteOffset).getFloat32(0, true)
  const fold = section[4]
  const largest = littleEndian(section, 5, 4)
  const numbers = step > 0 && step * largest <= MAX_FLOAT && largest <= MAX_INTEGER
  if (!numbers || ![1, 2].includes(fold) || channels % fold ** 2) {
    throw formatError(
      `section N has a step of ${pythonFloat(step)}, a fold of ${fold} and integers up to ${largest}, which a latent ` +
        `${shape} cannot have`,
    )
  }
  const elements = channels * frames * latentHeight * latentWidth
  const fitted = 5 * channels + setsOf(frames).length * (total(sizesOf(channels, true)) + 4)
  const most = ARCHIVE_HEAD + 4 + 4 * archiveLanes(elements) + 8 * (elements + fitted)
  if (section.length > most) {
    throw formatError(`section N has ${section.length} bytes; no encoder writes more than ${most} for a latent ${shape}`)
  }
  return {
    describe: `archive, error at most ${pythonShort(step / 2)}`,
    // The latent, (C, T, H, W).
    decode(progress = () => {}) {
      const reader = new ArchiveReader(section.subarray(ARCHIVE_HEAD), archiveLanes(elements))
      const [planes, height, width] = [channels / fold ** 2, latentHeight * fold, latentWidth * fold]
      const decoding = new ArchiveDecoding(reader, planes, frames, height, width, largest)
      decoding.decode(progress)
      reader.finish()
      return foldUp(decoding.integers, step, fold, { channels, frames, height: latentHeight, width: latentWidth })
    },
  }
}

// Channel (c f + y) f + x is row y, column x of each square of channel c of the integers.
function foldUp(integers, step, fold, { channels, frames, height, width }) {
  const found = new Float32Array(channels * frames * height * width)
  let at = 0
  for (let channel = 0; channel < channels; channel++) {
    const plane = Math.floor(channel / fold ** 2)
    const [down, right] = [Math.floor(channel / fold) % fold, channel % fold]
    for (let frame = 0; frame < frames; frame++) {
      for (let y = 0; y < height; y++) {
        const row = ((plane * frames + frame) * height + y) * fold + down
        for (let x = 0; x < width; x++) found[at++] = integers[(row * width + x) * fold + right] * step
      }
    }
  }
  return found
}

class ArchiveDecoding {
  constructor(reader, channels, frames, height, width, largest) {
    Object.assign(this, { reader, channels, frames, height, width, largest })
    this.area = frames * height * width // of a channel
    this.integers = new Int32Array(channels * this.area)
    this.magnitudes = new Int32Array(channels * this.area) // of residuals
    this.means = this.take(channels, MEAN_STEP)
    this.checkAll(this.means, -largest, largest, "a mean")
    this.coarse = [this.ladderSteps(channels)]
    if (frames > 1) {
      this.trust = this.take(channels, FITTED_STEP)
      this.checkAll(this.trust, -MAX_WEIGHT, MAX_WEIGHT, "weights")
      this.coarse.push(this.ladderSteps(channels))
    }
    this.weights = Object.fromEntries(setsOf(frames).map((kind) => [kind, this.takeWeights(isLater(kind))]))
  }

  take(count, step) {
    return this.reader.take(new Uint8Array(count).fill(step))
  }

  checkAll(values, least, most, what) {
    for (const value of values) {
      if (value < least || value > most) throw formatError(`section N has ${what} out of bounds`)
    }
  }

  ladderSteps(count) {
    const steps = this.take(count, FITTED_STEP)
    this.checkAll(steps, 0, MAX_LADDER_STEP, "a scale")
    return steps
  }

  takeWeights(later) {
    const { channels, largest } = this
    const steps = this.ladderSteps(4)
    const sizes = sizesOf(channels, later)
    const vector = this.reader.take(sizes.flatMap((size, i) => Array(size).fill(steps[[0, 1, 3, 2][i]])))
    const predicting = total(sizes.slice(0, 3))
    const columns = later ? 5 : 4
    const scales = vector.slice(predicting) // differences from the channel before
    for (let i = 0; i < scales.length; i++) scales[i] += i < columns ? USUAL_SCALES[i] : scales[i - columns]
    this.checkAll(vector.subarray(0, predicting), -MAX_WEIGHT, MAX_WEIGHT, "weights")
    this.checkAll(scales, 0, MAX_SCALE_WEIGHT, "weights")
    const constants = Array.from({ length: channels }, (_, channel) => leastScale(scales[channel * columns]))
    this.checkAll(constants, 0, 8192 * Math.max(largest, 1), "a scale")
    let at = sizes[0]
    const earlier = []
    for (let channel = 0; channel < channels; channel++) {
      const count = Math.min(channel, MAX_EARLIER)
      earlier.push(vector.subarray(at, (at += count)))
    }
    return {
      spatial: vector, earlier, constants, reference: vector.subarray(at, at + channels),
      scales: (channel) => scales.subarray(channel * columns + 1, (channel + 1) * columns),
    }
  }

  decode(progress) {
    let done = 0
    for (const block of archiveBlocks(this.channels, this.frames, this.height, this.width)) {
      progress(done / this.integers.length)
      done += this.channels * block.places.length
      if (block.kind === "coarse") this.decodeCoarse(block)
      else this.decodeBlock(block, this.weights[block.later ? `later ${block.kind}` : block.kind])
    }
  }

  clip(value) {
    const { largest } = this
    return value > largest ? largest : value < -largest ? 0 - largest : value
  }

  decodeCoarse({ places, later, before, after }) {
    const { channels, area, integers, coarse, means } = this
    const residuals = Array.from(coarse[later ? 1 : 0], (step) => this.take(places.length, step))
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < places.length; i++) {
        const at = channel * area + places[i]
        let prediction = means[channel]
        if (later) {
          const around = integers[at + before[i]] + integers[at + after[i]] - 2 * means[channel]
          prediction = this.clip(Math.floor((256 * means[channel] + 2 * this.trust[channel] * around + 128) / 256))
        }
        this.put(at, prediction, residuals[channel][i])
      }
    }
  }

  put(at, prediction, residual) {
    const value = prediction + residual
    if (value > this.largest || value < -this.largest) throw formatError("section N has an integer out of bounds")
    this.integers[at] = value
    this.magnitudes[at] = Math.abs(residual)
  }

  // Channel after channel, since each is predicted from those before.
  decodeBlock({ places, neighbors, later, before, after }, weights) {
    const { channels, area, integers, magnitudes, reader } = this
    const count = places.length
    const [first, second, third, fourth] = neighbors
    const steps = new Uint8Array(count)
    const scaled = new Float64Array(count)
    const deviations = Array.from({ length: channels }, () => new Float64Array(count))
    const near = new Float64Array(count) // sum of the residuals of a few channels before
    for (let channel = 0; channel < channels; channel++) {
      const base = channel * area
      const [a, b, c] = weights.spatial.subarray(3 * channel, 3 * channel + 3)
      const rest = 64 - a - b - c
      const [around, spread, beside, beyond] = weights.scales(channel)
      const constant = weights.constants[channel]
      const trust = weights.reference[channel]
      const own = deviations[channel]
      for (let i = 0; i < count; i++) {
        const [i1, i2, i3, i4] = [base + first[i], base + second[i], base + third[i], base + fourth[i]]
        const [n1, n2, n3, n4] = [integers[i1], integers[i2], integers[i3], integers[i4]]
        const sum = n1 + n2 + n3 + n4
        own[i] = -sum
        scaled[i] = rest * sum + 4 * (a * n1 + b * n2 + c * n3)
        const residuals = magnitudes[i1] + magnitudes[i2] + magnitudes[i3] + magnitudes[i4]
        let scale = constant + 4 * around * residuals + 8 * spread * (Math.abs(n1 - n2) + Math.abs(n3 - n4))
        scale += 4 * beside * near[i]
        if (later) {
          for (const offset of [before[i], after[i]]) {
            const at = base + places[i] + offset
            const others = [i1, i2, i3, i4].reduce((added, other) => added + integers[other + offset], 0)
            scaled[i] += trust * (4 * integers[at] - others)
            scale += 8 * beyond * magnitudes[at]
          }
        }
        steps[i] = ladderStep(scale)
      }
      weights.earlier[channel].forEach((weight, number) => {
        const other = deviations[Math.max(0, channel - MAX_EARLIER) + number]
        for (let i = 0; i < count; i++) scaled[i] += weight * other[i]
      })
      const residuals = reader.take(steps)
      const past = channel - SCALE_CHANNELS
      for (let i = 0; i < count; i++) {
        const at = base + places[i]
        this.put(at, this.clip(Math.floor((scaled[i] + 128) / 256)), residuals[i])
        own[i] += 4 * integers[at]
        near[i] += magnitudes[at] - (past >= 0 ? magnitudes[past * area + places[i]] : 0)
      }
    }
  }
}
