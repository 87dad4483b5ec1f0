"use strict"
// A convolution as a WebAssembly module with SIMD, written instruction by instruction: for `inputs` channels, rows of
// pixels of which each has its channels side by side.

const WASM_I32 = 0x7f
const WASM_V128 = 0x7b
const WIDE = 6 // pixels at once: with 8 outputs of each, as many sums as there are registers for
const OUTPUTS = 8

function leb(value) {
  const bytes = []
  for (;;) {
    const low = value & 127
    value >>= 7
    if ((value === 0 && !(low & 64)) || (value === -1 && low & 64)) return [...bytes, low]
    bytes.push(low | 128)
  }
}

function unsignedLeb(value) {
  const bytes = []
  for (; value >= 128; value >>>= 7) bytes.push((value & 127) | 128)
  return [...bytes, value]
}

// convolve(x, weights, bias, out, pixels, groups, taps, tapsEnd, outStep, add, relu), all pointers and steps in bytes:
// `groups` of 8 outputs, taps as offsets from x, weights [group][tap][input][8].
const PARAMETERS = ["x", "weights", "bias", "out", "pixels", "groups", "taps", "tapsEnd", "outStep", "add", "relu"]

function kernelModule(inputs, fused) {
  const names = [...PARAMETERS]
  const local = (name) => {
    if (!names.includes(name)) names.push(name)
    return unsignedLeb(names.indexOf(name))
  }
  const integers = ["left", "xNow", "outNow", "tap", "w", "from", "end", "to", "weightsNext"]
  integers.forEach(local)
  const vectors = ["w0", "w1", "s"]
  for (let p = 0; p < WIDE; p++) vectors.push(`a${p}`, `b${p}`)
  vectors.forEach(local)

  const get = (name) => [0x20, ...local(name)]
  const set = (name) => [0x21, ...local(name)]
  const constant = (value) => [0x41, ...leb(value)]
  const increase = (name, by) => [...get(name), ...(typeof by === "string" ? get(by) : constant(by)), 0x6a, ...set(name)]
  const simd = (code) => [0xfd, ...unsignedLeb(code)]
  const load = (name, offset = 0) => [...get(name), ...simd(0), 0, ...unsignedLeb(offset)]
  const splat = (name, offset) => [...get(name), ...simd(9), 0, ...unsignedLeb(offset)]
  const store = (offset) => [...simd(11), 0, ...unsignedLeb(offset)]
  const multiplyAdd = (sum, factor, weight) =>
    fused
      ? [...get(factor), ...get(weight), ...get(sum), ...simd(0x105), ...set(sum)]
      : [...get(sum), ...get(factor), ...get(weight), ...simd(0xe6), ...simd(0xe4), ...set(sum)]
  const loop = (body, ...condition) => [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b]
  const when = (condition, body) => [...condition, 0x04, 0x40, ...body, 0x0b]
  const zero = [...simd(12), ...Array(16).fill(0)]

  // `count` pixels, then on to the next ones
  const block = (count) => {
    const sums = Array.from({ length: count }, (_, p) => [`a${p}`, `b${p}`])
    const unrolled = []
    for (let i = 0; i < 4; i++) {
      unrolled.push(...load("w", 32 * i), ...set("w0"), ...load("w", 32 * i + 16), ...set("w1"))
      sums.forEach(([a, b], p) => {
        unrolled.push(...splat("from", 4 * (p * inputs + i)), ...set("s"))
        unrolled.push(...multiplyAdd(a, "s", "w0"), ...multiplyAdd(b, "s", "w1"))
      })
    }
    return [
      ...sums.flatMap(([a, b]) => [...load("bias"), ...set(a), ...load("bias", 16), ...set(b)]),
      ...get("weights"), ...set("w"), ...get("taps"), ...set("tap"),
      ...loop([
        ...get("xNow"), ...get("tap"), 0x28, 2, 0, 0x6a, ...set("from"),
        ...get("from"), ...constant(4 * inputs), 0x6a, ...set("end"),
        ...loop([...unrolled, ...increase("from", 16), ...increase("w", 128)], ...get("from"), ...get("end"), 0x47),
        ...increase("tap", 4),
      ], ...get("tap"), ...get("tapsEnd"), 0x47),
      ...get("outNow"), ...set("to"),
      ...sums.flatMap(([a, b]) => [
        ...when(get("add"), [
          ...get(a), ...load("to"), ...simd(0xe4), ...set(a), ...get(b), ...load("to", 16), ...simd(0xe4), ...set(b),
        ]),
        ...when(get("relu"), [
          ...get(a), ...zero, ...simd(0xe9), ...set(a), ...get(b), ...zero, ...simd(0xe9), ...set(b),
        ]),
        ...get("to"), ...get(a), ...store(0), ...get("to"), ...get(b), ...store(16), ...increase("to", "outStep"),
      ]),
      ...get("w"), ...set("weightsNext"),
      ...get("to"), ...set("outNow"), ...increase("xNow", 4 * inputs * count), ...increase("left", -count),
    ]
  }
  const atLeast = (count) => [...get("left"), ...constant(count), 0x4e]
  const body = loop([
    ...get("x"), ...set("xNow"), ...get("out"), ...set("outNow"), ...get("pixels"), ...set("left"),
    ...[WIDE, 1].flatMap((count) => when(atLeast(count), loop(block(count), ...atLeast(count)))),
    ...get("weightsNext"), ...set("weights"), ...increase("bias", 4 * OUTPUTS), ...increase("out", 4 * OUTPUTS),
    ...increase("groups", -1),
  ], ...get("groups"))

  const locals = [2, ...unsignedLeb(integers.length), WASM_I32, ...unsignedLeb(vectors.length), WASM_V128]
  const code = [...locals, ...body, 0x0b]
  const text = (value) => [value.length, ...new TextEncoder().encode(value)]
  const section = (id, content) => [id, ...unsignedLeb(content.length), ...content]
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, PARAMETERS.length, ...PARAMETERS.map(() => WASM_I32), 0]),
    ...section(2, [1, ...text("page"), ...text("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("convolve"), 0, 0]),
    ...section(10, [1, ...unsignedLeb(code.length), ...code]),
  ])
}

// The kernel for a number of inputs, with fused operations where the browser has them.
function makeKernel(inputs, memory) {
  const fused = kernelModule(inputs, true)
  const module = WebAssembly.validate(fused) ? fused : kernelModule(inputs, false)
  return new WebAssembly.Instance(new WebAssembly.Module(module), { page: { memory } }).exports.convolve
}
