"use strict"
// The page: files in, what is in them out. Whatever a file says is shown as text and never as markup.
;(() => {
  const element = (id) => document.getElementById(id)
  const MAX_KEPT = 40e6 // pixels of images that are kept, once decoded, for the strip
  const THUMBNAIL = 144 // pixels
  const LONG = 2000 // letters of a value that nobody reads here
  const SETTINGS = ["negative", "seed", "steps", "cfg", "denoise", "sampler", "scheduler", "model", "vae"]

  // --- workers ---

  const policy = globalThis.trustedTypes?.createPolicy("sdc-viewer", { createScriptURL: (url) => url })
  const source = URL.createObjectURL(new Blob([element("worker").textContent], { type: "text/javascript" }))
  const packed = JSON.parse(element("resources").textContent)
  const decoderAlone = Object.fromEntries(Object.entries(packed).filter(([name]) => name.startsWith("decoder/")))

  class Helper {
    constructor(values) {
      this.worker = new Worker(policy ? policy.createScriptURL(source) : source)
      this.waiting = new Map()
      this.count = 0
      this.worker.onmessage = ({ data: { id, result, error, progress } }) => {
        const { resolve, reject, note } = this.waiting.get(id)
        if (progress !== undefined) return note?.(progress)
        this.waiting.delete(id)
        if (error) reject(Object.assign(new Error(error.message), { kind: error.kind }))
        else resolve(result)
      }
      this.worker.onerror = (event) => {
        for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the decoder does not start"))
        this.waiting.clear()
      }
      this.started = this.call("start", values)
    }

    call(call, values = {}, note, transfer = []) {
      const id = this.count++
      return new Promise((resolve, reject) => {
        this.waiting.set(id, { resolve, reject, note })
        this.worker.postMessage({ id, call, ...values }, transfer)
      })
    }
  }

  // ?threads=N and ?gpu=off, or any, even in software, are for measuring.
  const options = new URLSearchParams(location.search)
  const threads = Number(options.get("threads")) || Math.max(1, Math.min(4, navigator.hardwareConcurrency ?? 1))
  const gpu = options.get("gpu") ?? "hardware"
  let helpers

  function startHelpers() {
    helpers?.forEach(({ worker }) => worker.terminate())
    helpers = [new Helper({ packed, gpu: gpu === "off" ? "" : gpu })]
  }

  // One more for each thread, once an image has tiles for it; a GPU needs none.
  async function helpersFor(tiles) {
    const hasGpu = await helpers[0].started
    const wanted = hasGpu ? 1 : Math.min(threads, tiles)
    while (helpers.length < wanted) helpers.push(new Helper({ packed: decoderAlone, gpu: "" }))
    return helpers.slice(0, wanted)
  }

  // --- images ---

  let file // what is shown
  let running = Promise.resolve()

  const shownSize = (side, decoded) => [Math.floor((side - Math.min(side, decoded)) / 2), Math.min(side, decoded)]

  // Where VAE Encode has cut rows or columns off, repeat the nearest that is left.
  function fillEdges(context, [left, width], [top, height]) {
    const { canvas } = context
    context.imageSmoothingEnabled = false
    const copy = (...areas) => context.drawImage(canvas, ...areas)
    if (left) copy(left, 0, 1, canvas.height, 0, 0, left, canvas.height)
    const right = left + width
    if (right < canvas.width) copy(right - 1, 0, 1, canvas.height, right, 0, canvas.width - right, canvas.height)
    if (top) copy(0, top, canvas.width, 1, 0, 0, canvas.width, top)
    const bottom = top + height
    if (bottom < canvas.height) copy(0, bottom - 1, canvas.width, 1, 0, bottom, canvas.width, canvas.height - bottom)
  }

  // Draw what is seen of another model's latent onto a canvas of the image's true size.
  async function drawComponent(own, number, canvas, note) {
    const { pixels, height, width } = await helpers[0].call("component", { number }, note)
    const small = document.createElement("canvas")
    small.width = width
    small.height = height
    small.getContext("2d").putImageData(new ImageData(pixels, width), 0, 0)
    const across = shownSize(own.width, own.factor * width)
    const down = shownSize(own.height, own.factor * height)
    const context = canvas.getContext("2d")
    const [wide, high] = [across[1] / own.factor, down[1] / own.factor]
    context.drawImage(small, 0, 0, wide, high, across[0], down[0], across[1], down[1])
    fillEdges(context, across, down)
    return { name: "main component of the latent", threads: 1 }
  }

  // Decode an image onto a canvas of its true size.
  async function decode(own, number, canvas, note) {
    if (own.images[number].gray) return drawComponent(own, number, canvas, note)
    const { latent, height, width } = await helpers[0].call("latent", { number }, (share) => note(share / 4))
    const scale = 8 // pixels a latent element
    const { name, tiles } = await helpers[0].call("image", { latent, height, width })
    const workers = await helpersFor(tiles.length)
    const context = canvas.getContext("2d")
    const across = shownSize(own.width, scale * width)
    const down = shownSize(own.height, scale * height)
    let done = 0
    await Promise.all(
      workers.map(async (helper) => {
        if (helper !== helpers[0]) await helper.call("image", { latent, height, width })
        for (let tile = tiles.shift(); tile && file === own; tile = tiles.shift()) {
          const pixels = await helper.call("tile", { tile })
          if (file !== own) return
          const image = new ImageData(pixels, scale * (tile.right - tile.left))
          context.putImageData(image, across[0] + scale * tile.left, down[0] + scale * tile.top)
          note(0.25 + (0.75 * ++done) / (done + tiles.length))
        }
      }),
    )
    fillEdges(context, across, down)
    return { name, threads: workers.length }
  }

  function newCanvas(own) {
    const canvas = document.createElement("canvas")
    canvas.width = own.width
    canvas.height = own.height
    return canvas
  }

  // Show an image, after what is being decoded now.
  function show(number) {
    const own = file
    own.selected = number
    describe(own, number)
    running = running.then(() => (file === own && own.selected === number ? draw(own, number) : undefined))
    return running
  }

  async function draw(own, number) {
    const { problem, gray } = own.images[number]
    element("problem").hidden = !problem
    element("problem").textContent = problem ?? ""
    element("note").hidden = Boolean(problem)
    element("image").hidden = Boolean(problem) && !gray
    element("progress").hidden = true
    element("save").disabled = true
    element("status").textContent = ""
    if (problem && !gray) return
    const kept = own.kept.get(number)
    const canvas = kept ?? newCanvas(own)
    canvas.id = "image"
    canvas.className = element("image").className
    element("image").replaceWith(canvas)
    if (!kept) {
      const began = performance.now()
      element("progress").hidden = false
      element("status").textContent = "Decoding"
      try {
        const how = await decode(own, number, canvas, (share) => (element("progress").value = share))
        if (file !== own) return
        const by = how.threads > 1 ? `${how.name}, ${how.threads} threads` : how.name
        own.how = `Decoded in ${((performance.now() - began) / 1000).toFixed(1)} s (${by})`
      } catch (error) {
        if (file === own) complain(own.name, error)
        return
      } finally {
        element("progress").hidden = true
      }
      if (own.images.length * own.width * own.height <= MAX_KEPT) own.kept.set(number, canvas)
      drawThumbnail(own, number, canvas)
    }
    element("status").textContent = own.how
    element("save").disabled = false
    document.dispatchEvent(new CustomEvent("sdc-shown", { detail: number }))
  }

  function drawThumbnail(own, number, canvas) {
    const small = own.thumbnails[number]
    if (!small) return
    small.height = THUMBNAIL
    small.width = Math.max(1, Math.round((THUMBNAIL * own.width) / own.height))
    small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height)
  }

  // --- what is said about a file ---

  function make(tag, text, parent) {
    const made = document.createElement(tag)
    if (text !== undefined) made.textContent = text
    parent?.append(made)
    return made
  }

  const shortened = (text) => (text.length > LONG ? `${text.slice(0, LONG)}... (${text.length} letters)` : text)

  function describe(own, number) {
    const image = own.images[number]
    const bits = (8 * own.bytes) / (own.images.length * (own.frames ?? 1) * own.width * own.height)
    const frames = own.frames > 1 ? ` of ${own.frames} frames${image.problem && !image.gray ? "" : " (the first is shown)"}` : ""
    const count = own.images.length > 1 ? `${own.images.length} images of ` : ""
    element("name").textContent = own.name
    element("about").textContent =
      `${count}${own.width} x ${own.height} pixels, ${own.bytes} bytes, ${bits.toFixed(3)} bits per pixel\n` +
      `${own.latentFormat} latent${frames}, ${image.describe}`
    const place = element("metadata")
    place.replaceChildren()
    const values = new Map(image.metadata)
    if (values.has("prompt")) {
      make("h3", "prompt", place)
      make("p", shortened(values.get("prompt")), place).id = "prompt"
    }
    const names = [...SETTINGS.filter((name) => values.has(name)), ...values.keys()]
    const others = [...new Set(names)].filter((name) => name !== "prompt" && name !== "workflow")
    if (others.length) {
      const table = make("table", undefined, place)
      for (const name of others) {
        const row = make("tr", undefined, table)
        make("th", shortened(name), row)
        make("td", shortened(values.get(name)), row)
      }
    }
    own.workflow = values.get("workflow")
    element("workflow").hidden = own.workflow === undefined
    for (const [at, button] of [...element("strip").children].entries()) button.ariaSelected = String(at === number)
  }

  function fillStrip(own) {
    element("strip").replaceChildren()
    if (own.images.length === 1) return
    own.thumbnails = own.images.map((_, number) => {
      const button = make("button", undefined, element("strip"))
      button.setAttribute("role", "option")
      const small = make("canvas", undefined, button)
      small.width = small.height = 1
      make("span", `${number + 1}`, button)
      button.onclick = () => show(number)
      return small
    })
  }

  function complain(name, error) {
    element("error").hidden = false
    element("error").textContent = `${name}: ${error.message}`
    document.dispatchEvent(new CustomEvent("sdc-refused"))
  }

  // --- files ---

  async function open(name, data) {
    element("error").hidden = true
    startHelpers() // whatever the one before is still at, ends
    running = Promise.resolve()
    const helper = helpers[0]
    file = undefined
    let found
    try {
      await helper.started
      found = await helper.call("open", { data }, undefined, [data])
    } catch (error) {
      element("view").hidden = true
      element("welcome").hidden = false
      if (helper === helpers[0]) complain(name, error)
      return
    }
    if (helper !== helpers[0]) return // another one was opened meanwhile
    file = { ...found, name, thumbnails: [], kept: new Map(), selected: 0 }
    document.title = `${name} - SDC viewer`
    element("welcome").hidden = true
    element("view").hidden = false
    fillStrip(file)
    const own = file
    await show(0)
    // The others of the strip, as long as nobody asks for one of them.
    for (let number = 1; number < own.images.length && file === own; number++) {
      const { problem, gray } = own.images[number]
      if ((problem && !gray) || own.kept.has(number)) continue
      running = running.then(async () => {
        if (file !== own || own.kept.has(number)) return
        const canvas = newCanvas(own)
        await decode(own, number, canvas, () => {}).catch((error) => file === own && complain(name, error))
        if (own.images.length * own.width * own.height <= MAX_KEPT) own.kept.set(number, canvas)
        drawThumbnail(own, number, canvas)
      })
      await running
    }
  }

  const openFile = async (chosen) => {
    if (!chosen) return
    if (chosen.size > 32 << 20) {
      return complain(chosen.name, new Error("there are more than 33554432 bytes, and no .sdc file has that many"))
    }
    await open(chosen.name, await chosen.arrayBuffer())
  }

  function download(blob, name) {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  }

  const stem = () => file.name.replace(/\.sdc$/i, "") + (file.images.length > 1 ? `_${file.selected + 1}` : "")

  element("choose").onchange = ({ target }) => openFile(target.files[0]).finally(() => (target.value = ""))
  element("save").onclick = () => element("image").toBlob((blob) => download(blob, `${stem()}.png`), "image/png")
  element("workflow").onclick = () =>
    download(new Blob([file.workflow], { type: "application/json" }), `${stem()}.json`)
  document.addEventListener("click", ({ target }) => target.id === "image" && target.classList.toggle("whole"))
  document.addEventListener("paste", ({ clipboardData }) => openFile(clipboardData.files[0]))
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault()
      document.body.classList.toggle("over", type === "dragover")
      if (type === "drop") openFile(event.dataTransfer.files[0])
    })
  }

  const [own] = JSON.parse(element("files").textContent)
  if (own) open(own[0], Uint8Array.from(atob(own[1]), (letter) => letter.charCodeAt(0)).buffer)
})()
