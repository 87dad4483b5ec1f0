"use strict"
// What runs beside the page: it opens files, decodes latents, and tiles of images. Each message is { id, call, ... },
// and each answer { id, result }, { id, error } or { id, progress }.

let resources
let decoder
let opened
let current // the latent whose tiles are wanted

const MAX_DECODED = 50e6 // pixels; the format allows more, but they take minutes and a canvas that few browsers have

const calls = {
  // Gives whether there is a GPU to decode by. `gpu` is empty where none is wanted.
  async start({ packed, gpu }) {
    resources = new Resources(packed)
    decoder = gpu ? await makeGpuDecoder(resources.decoder(), gpu === "any") : undefined
    return decoder !== undefined
  },

  open({ data }) {
    const bytes = new Uint8Array(data)
    opened = loadFile(bytes, resources)
    const { header, images } = opened
    return {
      bytes: bytes.length,
      width: header.width,
      height: header.height,
      frames: header.frames,
      latentFormat: header.format.name,
      latent: [header.channels, header.latentHeight, header.latentWidth],
      factor: header.format.factor,
      images: images.map(({ coder, stored, metadata }) => ({
        coder, describe: stored.describe, metadata: describeMetadata(metadata), ...problem(stored),
      })),
    }
  },

  // What is shown of a latent that is not of SD1.x: pixels (RGBA), one an element.
  component({ number }, progress) {
    const { latent, height, width } = calls.latent({ number }, progress)
    return { pixels: mainComponent(latent, opened.header.channels, height * width), height, width }
  },

  // The latent of an image, or of the first frame of a video, (channels, height, width).
  latent({ number }, progress) {
    const { channels, frames = 1, latentHeight: height, latentWidth: width } = opened.header
    const decoded = opened.images[number].stored.decode(progress)
    if (frames === 1) return { latent: decoded, height, width }
    const area = height * width
    const latent = new Float32Array(channels * area)
    for (let c = 0; c < channels; c++) latent.set(decoded.subarray(c * frames * area, (c * frames + 1) * area), c * area)
    return { latent, height, width }
  },

  // Of the file's own latent format; for comparing.
  rawLatent: ({ number }) => opened.images[number].stored.decode(),

  // Before its tiles; gives by what they are decoded, and which there are.
  image({ latent, height, width }) {
    current = { latent, height, width }
    decoder ??= new WasmDecoder(resources.decoder())
    return { name: decoder.constructor.name, tiles: tilesOf(height, width) }
  },

  async tile({ tile }) {
    const { latent, height, width } = current
    try {
      return await decoder.run(latent, height, width, tile)
    } catch (error) {
      if (decoder instanceof WasmDecoder) throw error
      decoder = new WasmDecoder(resources.decoder()) // the GPU was lost, or has no memory left
      return decoder.run(latent, height, width, tile)
    }
  },
}

// { problem, gray }: why there is no image to see, where there is none, and whether to show its latent's main component.
function problem(stored) {
  const { format, channels, frames = 1, width, height, latentWidth, latentHeight } = opened.header
  const area = latentHeight * latentWidth * Math.max(format.factor ** 2, 2 * channels)
  const pixels = frames * Math.max(width * height, area)
  if (pixels > MAX_DECODED) {
    return {
      problem: `The image has ${(pixels / 1e6).toFixed(0)} megapixels, and this page decodes up to ${MAX_DECODED / 1e6}.`,
    }
  }
  if (format.name === "SD1.x") return {}
  const gray = stored.canDecode !== false
  return {
    gray,
    problem:
      `The file holds a latent of ${format.name}, and the small decoder of this page knows SD1.x alone. ` +
      "Load SDC in ComfyUI shows it, with a VAE of that model." +
      (gray ? " Below is the main component of the latent, in gray." : ""),
  }
}

// [name, text] of each value, in the order of the file, and the workflow as a file.
function describeMetadata(metadata) {
  return [...metadata].map(([name, value]) => [name, typeof value === "string" ? value : writeJson(value)])
}

self.onmessage = async ({ data: { id, call, ...values } }) => {
  try {
    const result = await calls[call](values, (progress) => self.postMessage({ id, progress }))
    const buffer = result?.buffer ?? result?.latent?.buffer ?? result?.pixels?.buffer
    self.postMessage({ id, result }, buffer ? [buffer] : [])
  } catch (error) {
    self.postMessage({ id, error: { kind: error.kind, message: error.message } })
  }
}
