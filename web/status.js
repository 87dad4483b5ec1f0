// Shows what an SDC node reports (size, bits per pixel, warnings) in a few lines on the node, with small images above
// them where there are some. The front end draws `ui.text` only for nodes it knows by name.
import { app } from "../../scripts/app.js"

const WITH_IMAGES = ["SDCLoad", "SDCSave"] // call `show` themselves
const LINE_HEIGHT = 18
const MAX_LINES = 10 // of a batch or folder; the text scrolls
const MARGIN = 4
const IMAGE_HEIGHT = 128

export function findStatus(node) {
  return node.widgets?.find((widget) => widget.name === "sdc_status")
}

function addStatus(node) {
  const frame = document.createElement("div")
  const content = document.createElement("div")
  const images = document.createElement("div")
  const text = document.createElement("div")
  content.style.padding = "0 6px"
  images.style.cssText = "display: flex; gap: 4px; justify-content: center"
  text.style.cssText = `font: 12px/${LINE_HEIGHT}px sans-serif; color: var(--input-text); white-space: pre-wrap; overflow-wrap: anywhere; max-height: ${MAX_LINES * LINE_HEIGHT}px; overflow-y: auto`
  content.append(images, text)
  frame.append(content)
  // Long lines wrap, so the height is known only after layout; before that, count lines. A frame that is much narrower
  // than its node has not its width yet: the front end gives it one after it has asked for the height.
  const isLaidOut = () => frame.offsetWidth > node.size[0] / 2 && content.offsetHeight > 0
  const estimate = () =>
    LINE_HEIGHT * Math.min(MAX_LINES, text.textContent.split("\n").length) +
    (images.childElementCount ? IMAGE_HEIGHT + MARGIN : 0)
  const height = () => (isLaidOut() ? content.offsetHeight : estimate()) + 2 * MARGIN
  const widget = node.addDOMWidget("sdc_status", "sdc_status", frame, {
    margin: MARGIN,
    serialize: false, // a saved workflow holds settings, not the last result
    getValue: () => text.textContent,
    setValue: () => {},
    getMinHeight: height,
    getMaxHeight: height,
  })
  widget.serialize = false
  let last = height()
  widget.sdcFit = () => {
    const shrunk = Math.max(0, last - height())
    last = height()
    fit(node, shrunk)
  }
  new ResizeObserver(() => isLaidOut() && widget.sdcFit()).observe(content)
  return widget
}

// Grow to what is needed, and shrink by what the lines no longer need; what the user has added to the size stays.
function fit(node, shrunk) {
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1] - shrunk, height)])
  node.setDirtyCanvas(true, true)
}

function makeImage(address) {
  const image = document.createElement("img")
  image.style.cssText = `height: ${IMAGE_HEIGHT}px; min-width: 0; object-fit: contain; margin-bottom: ${MARGIN}px`
  image.alt = ""
  image.draggable = false
  image.onerror = () => image.remove() // a damaged file: the text says what is wrong
  image.src = address
  return image
}

// `images` are addresses of images.
export function show(node, lines, images = []) {
  const widget = findStatus(node) ?? (lines.length ? addStatus(node) : undefined)
  if (!widget) return
  const [row, text] = widget.element.firstChild.children
  row.replaceChildren(...images.map(makeImage))
  text.textContent = lines.join("\n") // text, never markup: it may come from a stranger's file
  widget.sdcFit()
}

app.registerExtension({
  name: "sdc.status",
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("SDC") || WITH_IMAGES.includes(node.comfyClass)) return
    const onExecuted = node.onExecuted
    node.onExecuted = function (output) {
      onExecuted?.call(this, output)
      show(this, output?.text ?? [])
    }
  },
})
