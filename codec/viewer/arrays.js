"use strict"
// The arrays that the page brings along: one zstd frame of an index and each array, split into its bytes' planes.

const ARRAY_TYPES = {
  i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array,
}

// { name: { shape, values } }; texts are plain strings.
function unpackArrays(packed) {
  const bytes = inflate(packed, 1 << 26, "arrays of this page")
  const start = 4 + littleEndian(bytes, 0, 4)
  const index = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)))
  const found = {}
  let at = start
  for (const [name, type, shape] of index) {
    if (type === "text") {
      found[name] = shape
      continue
    }
    const count = shape.reduce((product, side) => product * side, 1)
    const half = type === "f2"
    const kind = half ? Uint16Array : ARRAY_TYPES[type]
    const size = kind.BYTES_PER_ELEMENT
    const joined = new Uint8Array(count * size)
    for (let plane = 0; plane < size; plane++) {
      for (let i = 0; i < count; i++) joined[i * size + plane] = bytes[at++]
    }
    let values = new kind(joined.buffer)
    if (half) values = Float32Array.from(values, halfToNumber)
    found[name] = { shape, values }
  }
  return found
}

function fromBase64(text) {
  const letters = atob(text)
  const bytes = new Uint8Array(letters.length)
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i)
  return bytes
}

// What the page has: packed arrays by name. Each is unpacked when it is first asked for, and kept.
class Resources {
  constructor(packed) {
    this.packed = packed // { name: base64 }
    this.known = new Map()
  }

  get(kind, id, make) {
    const name = `${kind}/${id}`
    if (!Object.hasOwn(this.packed, name)) return undefined
    if (!this.known.has(name)) this.known.set(name, make(unpackArrays(fromBase64(this.packed[name]))))
    return this.known.get(name)
  }

  dictionary(id) {
    return this.get("metadata", id, ({ content }) => parseDictionary(content.values))
  }

  weights(id) {
    return this.get("learned", id, (arrays) => new Weights(arrays))
  }

  decoder() {
    return this.get("decoder", "SD1.x", (arrays) => arrays)
  }
}
