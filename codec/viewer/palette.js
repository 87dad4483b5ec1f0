"use strict"
// The palette coder: entries of 8-bit components, and for each place of the latent the index of one.

const MAX_ENTRIES = 4096

function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return exponent ? sign * 2 ** (exponent - 25) * (1024 + fraction) : sign * 2 ** -24 * fraction
}

const twoDigits = (text) => text.replace(/e([+-])(\d)$/, "e$10$2")

// As Python writes a float.
function pythonFloat(value) {
  if (Number.isNaN(value)) return "nan"
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf"
  if (Object.is(value, -0)) return "-0.0"
  const text = String(value)
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e16)) return twoDigits(value.toExponential())
  return /[.e]/.test(text) ? text : `${text}.0`
}

// As Python writes one above 0 with three digits, by ".3g".
function pythonShort(value) {
  const [digits, exponent] = value.toExponential(2).split("e")
  if (exponent < -4 || exponent >= 3) return twoDigits(`${Number(digits)}e${exponent}`)
  return String(Number(value.toPrecision(3)))
}

function parseEntries(payload, channels) {
  const rangeSize = 4 * channels
  const entries = (payload.length - rangeSize) / channels
  if (!Number.isInteger(entries) || entries < 1 || entries > MAX_ENTRIES) {
    throw formatError(
      `the palette section has ${payload.length} bytes; ${channels} channels need ${rangeSize} for the ranges and ` +
        `then ${channels} for each of 1 to ${MAX_ENTRIES} entries`,
    )
  }
  const ranges = []
  for (let channel = 0; channel < channels; channel++) {
    const [low, high] = [0, 2].map((at) => halfToNumber(littleEndian(payload, 4 * channel + at, 2)))
    const found = `the palette's channel ${channel} goes from ${pythonFloat(low)}`
    if (!(Number.isFinite(low) && Number.isFinite(high))) {
      throw formatError(`${found} to ${pythonFloat(high)}; both must be finite`)
    }
    if (low > high) throw formatError(`${found} down to ${pythonFloat(high)}; low comes first`)
    ranges.push([low, high])
  }
  return { entries, ranges, components: payload.subarray(rangeSize) }
}

// Each value is four operations in binary64, one after the other, then one rounding to binary32.
function entryValues({ entries, ranges, components }) {
  const channels = ranges.length
  return ranges.map(([low, high], channel) => {
    const span = high - low
    return Float32Array.from({ length: entries }, (_, entry) => low + (components[entry * channels + channel] * span) / 255)
  })
}

function unpackIndices(payload, count, bits) {
  const expected = Math.ceil((count * bits) / 8)
  if (payload.length !== expected) {
    throw formatError(`the indices take ${payload.length} bytes; ${count} of ${bits} bits take ${expected}`)
  }
  const unused = 8 * expected - count * bits
  const last = payload[expected - 1] ?? 0
  if (unused && last & ((1 << unused) - 1)) {
    const byte = `0x${last.toString(16).padStart(2, "0")}`
    throw formatError(`the ${unused} bits after the last index must be 0; the last byte is ${byte}`)
  }
  const indices = new Uint16Array(count)
  let held = 0
  let pool = 0
  let at = 0
  for (let i = 0; i < count; i++) {
    while (held < bits) {
      pool = ((pool << 8) | payload[at++]) & 0xffffff
      held += 8
    }
    held -= bits
    indices[i] = (pool >> held) & ((1 << bits) - 1)
  }
  return indices
}

function inflateIndices(payload, count, entries) {
  const planes = entries <= 256 ? 1 : 2
  const content = inflate(payload, planes * count, "indices")
  if (content.length !== planes * count) {
    throw formatError(`the indices inflate to ${content.length} bytes; the header asks for ${planes * count}`)
  }
  const indices = Uint16Array.from(content.subarray(0, count))
  if (planes === 2) for (let i = 0; i < count; i++) indices[i] |= content[count + i] << 8
  return indices
}

function parsePalette(coder, paletteSection, indexSection, header) {
  const palette = parseEntries(paletteSection, header.channels)
  const count = header.latentHeight * header.latentWidth
  const bits = 32 - Math.clz32(palette.entries - 1)
  const indices =
    coder === 0 ? unpackIndices(indexSection, count, bits) : inflateIndices(indexSection, count, palette.entries)
  const highest = indices.reduce((most, index) => Math.max(most, index), 0)
  if (highest >= palette.entries) {
    throw formatError(
      `an index is ${highest} but the palette has ${palette.entries} entries; the highest may be ${palette.entries - 1}`,
    )
  }
  return {
    describe: `${palette.entries} color${palette.entries > 1 ? "s" : ""}`,
    decode() {
      const latent = new Float32Array(count * header.channels)
      entryValues(palette).forEach((values, channel) => {
        const start = channel * count
        for (let i = 0; i < count; i++) latent[start + i] = values[indices[i]]
      })
      return latent
    },
  }
}
