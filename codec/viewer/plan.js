"use strict"
// The small decoder (the architecture of TAESD, as codec/autoencoder/network.py has it): which layers there are, and
// which part of each is needed for a tile of the image.

const CHANNELS = 64
const LATENT_CHANNELS = 4
const PIXELS = 8 // a latent element
const LATENT_SCALE = 0.18215
const TILE = { width: 64, height: 32 } // latents: what is worked on at once, so that memory does not grow with the image

// Layers in their order. Buffers: "in" has the latent, A, B and C are of the layer's level, of 2^level pixels a latent;
// "up" layers read those of the level below.
function decoderLayers() {
  const layers = [{ name: "1", from: "in", to: "A", level: 0, relu: true }]
  const block = (number, level) =>
    layers.push(
      { name: `${number}.conv.0`, from: "A", to: "B", level, relu: true },
      { name: `${number}.conv.2`, from: "B", to: "C", level, relu: true },
      { name: `${number}.conv.4`, from: "C", to: "A", level, relu: true, add: true }, // to what A holds
    )
  let number = 3
  for (let level = 0; level < 4; level++) {
    for (let i = 0; i < (level < 3 ? 3 : 1); i++) block(number++, level)
    if (level === 3) break
    layers.push({ name: String(number + 1), from: "A", to: "A", level: level + 1, up: true })
    number += 2
  }
  layers.push({ name: String(number), from: "A", to: "out", level: 3 })
  return layers
}

// Weights of a layer as the kernels take them: variants { taps, values, bias, phase }, where values[tap][input][output]
// and `taps` are offsets [y, x]. Enlarged twice and convolved is the same as four convolutions of 2x2, a quarter of the
// pixels each: less than half of the work.
function layerVariants(arrays, layer) {
  const { values, shape } = arrays[`${layer.name}.weight`]
  const [outputs, inputs] = shape
  const bias = arrays[`${layer.name}.bias`]?.values ?? new Float32Array(outputs)
  const make = (phase, rows, columns) => {
    const taps = []
    const joined = new Float32Array(rows.length * columns.length * inputs * outputs)
    let at = 0
    for (const [dy, kernelRows] of rows) {
      for (const [dx, kernelColumns] of columns) {
        taps.push([dy, dx])
        for (let i = 0; i < inputs; i++) {
          for (let o = 0; o < outputs; o++, at++) {
            for (const ky of kernelRows) {
              for (const kx of kernelColumns) joined[at] += values[((o * inputs + i) * 3 + ky) * 3 + kx]
            }
          }
        }
      }
    }
    return { phase, taps, values: joined, bias, inputs, outputs }
  }
  if (!layer.up) {
    const all = [[-1, [0]], [0, [1]], [1, [2]]]
    return [make(undefined, all, all)]
  }
  const of = [[[-1, [0]], [0, [1, 2]]], [[0, [0, 1]], [1, [2]]]]
  return [0, 1].flatMap((y) => [0, 1].map((x) => make({ y, x }, of[y], of[x])))
}

const within = (rect, height, width) => ({
  top: Math.max(0, rect.top), left: Math.max(0, rect.left),
  bottom: Math.min(height, rect.bottom), right: Math.min(width, rect.right),
})

// What each layer has to give for a tile { top, left, bottom, right } of a latent of h x w: `rects` by layer, and by
// level the area that the buffers cover.
function planTile(layers, tile, height, width) {
  const rects = []
  const areas = []
  let rect = Object.fromEntries(Object.entries(tile).map(([side, value]) => [side, value * PIXELS]))
  for (let number = layers.length - 1; number >= 0; number--) {
    const { up, level } = layers[number]
    rects[number] = rect
    areas[level] ??= rect
    if (up) {
      areas[level] = rect
      rect = {
        top: (rect.top - 1) >> 1, left: (rect.left - 1) >> 1,
        bottom: (rect.bottom >> 1) + 1, right: (rect.right >> 1) + 1,
      }
    } else rect = { top: rect.top - 1, left: rect.left - 1, bottom: rect.bottom + 1, right: rect.right + 1 }
    const scale = 2 ** (up ? level - 1 : level)
    rect = within(rect, height * scale, width * scale)
    areas[up ? level - 1 : level] = rect
  }
  return { rects, areas, input: rect }
}

// A latent in tiles of about one size.
function tilesOf(height, width) {
  const edges = (side, most) => {
    const count = Math.ceil(side / most)
    return Array.from({ length: count }, (_, i) => [i, i + 1].map((n) => Math.floor((n * side) / count)))
  }
  const columns = edges(width, TILE.width)
  return edges(height, TILE.height).flatMap(([top, bottom]) =>
    columns.map(([left, right]) => ({ top, left, bottom, right })),
  )
}

// The part of a latent (C, height, width) that a tile needs, as the network takes it in: (rows, columns, C).
function networkInput(latent, height, width, area) {
  const [rows, columns] = [area.bottom - area.top, area.right - area.left]
  const found = new Float32Array(rows * columns * LATENT_CHANNELS)
  let at = 0
  for (let y = area.top; y < area.bottom; y++) {
    for (let x = area.left; x < area.right; x++) {
      for (let c = 0; c < LATENT_CHANNELS; c++) {
        found[at++] = 3 * Math.tanh((latent[(c * height + y) * width + x] * LATENT_SCALE) / 3)
      }
    }
  }
  return found
}

// What the last layer gives, `step` numbers a pixel, as pixels of ImageData.
function toPixels(values, count, step) {
  const pixels = new Uint8ClampedArray(4 * count)
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = 255 * values[i * step + c]
    pixels[4 * i + 3] = 255
  }
  return pixels
}
