"use strict"
// The small decoder by WebGPU. A thread makes 4 outputs of 4 pixels side by side.

const GPU_TILE = 4 // pixels of a thread, in a row

// For kernels of `taps` columns. All that is indexed is written out: arrays with a variable index are slow memory.
function shader(taps) {
  const count = (n) => Array.from({ length: n }, (_, i) => i)
  const lines = (n, line) => count(n).map(line).join("\n")
  return `
struct Step {
  source: vec4<i32>, // numbers of 4 channels to the first pixel, of a row; channels / 4; rows of the kernel
  sink: vec4<i32>, // the same of the output: first, row, pixel; outputs / 4
  size: vec4<i32>, // columns; rows; flags: 1 add, 2 relu
}
@group(0) @binding(0) var<uniform> own: Step;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;

fn finish(to: i32, sum: vec4<f32>) {
  var value = sum;
  if ((own.size.z & 1) != 0) { value += out[to]; }
  if ((own.size.z & 2) != 0) { value = max(value, vec4<f32>()); }
  out[to] = value;
}

@compute @workgroup_size(16, 4)
fn convolve(@builtin(global_invocation_id) id: vec3<u32>) {
  let group = i32(id.x);
  let column = i32(id.y) * ${GPU_TILE};
  let row = i32(id.z);
  let groups = own.sink.w;
  if (group >= groups || column >= own.size.x) { return; }
  let inputs = own.source.z;
  ${lines(GPU_TILE, (p) => `var sum${p} = bias[group];`)}
  var at = own.source.x + row * own.source.y + column * inputs;
  var w = group;
  let kernelStep = 4 * inputs * groups;
  for (var kernelRow = 0; kernelRow < own.source.w; kernelRow++) {
    for (var input = 0; input < inputs; input++) {
      ${lines(GPU_TILE + taps - 1, (p) => `let x${p} = x[at + input + ${p} * inputs];`)}
      ${lines(taps, (tap) => `{
        let first = w + ${tap} * kernelStep + 4 * input * groups;
        let a = weights[first];
        let b = weights[first + groups];
        let c = weights[first + 2 * groups];
        let d = weights[first + 3 * groups];
        ${lines(GPU_TILE, (p) => {
          const pixel = `x${p + tap}`
          return `sum${p} += a * ${pixel}.x + b * ${pixel}.y + c * ${pixel}.z + d * ${pixel}.w;`
        })}
      }`)}
    }
    at += own.source.y;
    w += ${taps} * kernelStep;
  }
  let to = own.sink.x + row * own.sink.y + column * own.sink.z + group;
  ${lines(GPU_TILE, (p) => `if (column + ${p} < own.size.x) { finish(to + ${p} * own.sink.z, sum${p}); }`)}
}`
}

class GpuDecoder {
  static name = "WebGPU"

  constructor(device, arrays) {
    this.device = device
    this.layers = decoderLayers()
    this.pipelines = new Map([2, 3].map((taps) => {
      const module = device.createShaderModule({ code: shader(taps) })
      return [taps, device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "convolve" } })]
    }))
    this.variants = this.layers.map((layer) => layerVariants(arrays, layer).map((variant) => this.place(variant)))
  }

  buffer(bytes, usage, values) {
    const buffer = this.device.createBuffer({ size: Math.max(16, bytes), usage: usage | GPUBufferUsage.COPY_DST })
    if (values) this.device.queue.writeBuffer(buffer, 0, values)
    return buffer
  }

  // Outputs come in groups of 4, so of three there are four.
  place({ phase, taps, values, bias, inputs, outputs }) {
    const padded = Math.ceil(outputs / 4) * 4
    const count = taps.length * inputs
    const weights = new Float32Array(count * padded)
    for (let i = 0; i < count; i++) weights.set(values.subarray(i * outputs, (i + 1) * outputs), i * padded)
    const biases = new Float32Array(padded)
    biases.set(bias)
    return {
      phase, inputs, outputs: padded, side: Math.sqrt(taps.length), first: taps[0],
      weights: this.buffer(weights.byteLength, GPUBufferUsage.STORAGE, weights),
      bias: this.buffer(biases.byteLength, GPUBufferUsage.STORAGE, biases),
    }
  }

  // Pixels (RGBA) of a tile.
  async run(latent, height, width, tile) {
    const { device } = this
    const { rects, areas, input } = planTile(this.layers, tile, height, width)
    const made = []
    const make = (area, channels) => {
      // A thread reads up to 4 pixels beyond the last column.
      const row = (area.right - area.left + 2) * channels
      const bytes = 4 * (row * (area.bottom - area.top + 2) + 8 * channels)
      const buffer = this.buffer(bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC)
      made.push(buffer)
      return { ...area, channels, row, bytes, buffer }
    }
    const found = areas.map((area) => ({ A: make(area, CHANNELS), B: make(area, CHANNELS), C: make(area, CHANNELS) }))
    const source = (found[0].in = make(input, LATENT_CHANNELS))
    const out = (found[3].out = make(rects.at(-1), 4))
    const values = networkInput(latent, height, width, source)
    const columns = LATENT_CHANNELS * (source.right - source.left)
    for (let y = 0; y < source.bottom - source.top; y++) {
      const at = 4 * ((y + 1) * source.row + LATENT_CHANNELS)
      device.queue.writeBuffer(source.buffer, at, values, y * columns, columns)
    }
    const encoder = device.createCommandEncoder()
    this.layers.forEach((layer, number) => {
      const from = found[layer.up ? layer.level - 1 : layer.level][layer.from]
      const to = found[layer.level][layer.to]
      for (const variant of this.variants[number]) {
        made.push(this.convolve(encoder, layer, variant, from, to, rects[number]))
      }
    })
    const result = device.createBuffer({ size: out.bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
    encoder.copyBufferToBuffer(out.buffer, 0, result, 0, out.bytes)
    device.queue.submit([encoder.finish()])
    await result.mapAsync(GPUMapMode.READ)
    const all = new Float32Array(result.getMappedRange())
    const side = out.right - out.left
    const pixels = new Uint8ClampedArray(4 * side * (out.bottom - out.top))
    for (let y = 0; y < out.bottom - out.top; y++) {
      const start = (y + 1) * out.row + 4
      pixels.set(toPixels(all.subarray(start, start + 4 * side), side, 4), 4 * side * y)
    }
    result.unmap()
    for (const buffer of [...made, result]) buffer.destroy()
    return pixels
  }

  convolve(encoder, layer, { phase, inputs, outputs, side, first: [dy, dx], weights, bias }, from, to, rect) {
    const scale = phase ? 2 : 1
    const { y: phaseY, x: phaseX } = phase ?? { y: 0, x: 0 }
    // Of the level that is read.
    const [top, bottom] = [rect.top, rect.bottom].map((edge) => Math.ceil((edge - phaseY) / scale))
    const [left, right] = [rect.left, rect.right].map((edge) => Math.ceil((edge - phaseX) / scale))
    const fromFirst = (top + dy - from.top + 1) * from.row + (left + dx - from.left + 1) * from.channels
    const toFirst =
      (scale * top + phaseY - to.top + 1) * to.row + (scale * left + phaseX - to.left + 1) * to.channels
    const values = Int32Array.of(
      fromFirst / 4, from.row / 4, inputs / 4, side,
      toFirst / 4, (scale * to.row) / 4, (scale * to.channels) / 4, outputs / 4,
      right - left, bottom - top, (layer.add ? 1 : 0) + (layer.relu ? 2 : 0), 0,
    )
    const step = this.buffer(values.byteLength, GPUBufferUsage.UNIFORM, values)
    if (right <= left || bottom <= top) return step
    const pass = encoder.beginComputePass()
    const pipeline = this.pipelines.get(side)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, this.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [step, weights, bias, from.buffer, to.buffer].map((buffer, binding) => ({ binding, resource: { buffer } })),
    }))
    pass.dispatchWorkgroups(Math.ceil(outputs / 64), Math.ceil((right - left) / (4 * GPU_TILE)), bottom - top)
    pass.end()
    return step
  }
}

// Undefined where the browser has no GPU for it (`anyAdapter`: one in software will do), or where it does not give what
// WebAssembly gives.
async function makeGpuDecoder(arrays, anyAdapter) {
  try {
    const adapter = await self.navigator.gpu?.requestAdapter({ powerPreference: "high-performance" })
    // One in software is slower than WebAssembly.
    const slow = adapter?.isFallbackAdapter || adapter?.info?.isFallbackAdapter
    if (!adapter || (slow && !anyAdapter)) return undefined
    const decoder = new GpuDecoder(await adapter.requestDevice(), arrays)
    const side = 4
    const latent = Float32Array.from({ length: LATENT_CHANNELS * side * side }, (_, i) => 8 * Math.sin(1 + i * i))
    const [[tile]] = [tilesOf(side, side)]
    const [own, other] = await Promise.all(
      [decoder, new WasmDecoder(arrays)].map((each) => each.run(latent, side, side, tile)),
    )
    return own.every((value, i) => Math.abs(value - other[i]) <= 2) ? decoder : undefined
  } catch {
    return undefined
  }
}
