// Shows what an SDC node reports (size, bits per pixel, warnings) in a few lines on the node.
// The front end draws `ui.text` only for nodes it knows by name.
import { app } from "../../scripts/app.js"

const NODES = ["SDCLatentQuantize", "SDCSave", "SDCLoad", "SDCDDIMInvert", "SDCRegenerateCanny", "SDCCompare"]
const LINE_HEIGHT = 18
const MARGIN = 4

function findStatus(node) {
  return node.widgets?.find((widget) => widget.name === "sdc_status")
}

function addStatus(node) {
  const frame = document.createElement("div")
  const text = document.createElement("div")
  text.style.cssText = `font: 12px/${LINE_HEIGHT}px sans-serif; color: var(--input-text); white-space: pre-wrap; padding: 0 6px`
  frame.append(text)
  // Long lines wrap, so only the laid-out text knows its height; before that, count lines.
  const height = () => (text.offsetHeight || LINE_HEIGHT * text.textContent.split("\n").length) + 2 * MARGIN
  const widget = node.addDOMWidget("sdc_status", "sdc_status", frame, {
    margin: MARGIN,
    serialize: false, // a saved workflow holds settings, not the last result
    getValue: () => text.textContent,
    setValue: () => {},
    getMinHeight: height,
    getMaxHeight: height,
  })
  widget.serialize = false
  new ResizeObserver(() => grow(node)).observe(text)
  return widget
}

function grow(node) {
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
  node.setDirtyCanvas(true, true)
}

function show(node, output) {
  const lines = output?.text ?? []
  const widget = findStatus(node) ?? (lines.length ? addStatus(node) : undefined)
  if (!widget) return
  widget.element.firstChild.textContent = lines.join("\n") // text, never markup: it may come from a stranger's file
}

app.registerExtension({
  name: "sdc.status",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!NODES.includes(nodeData.name)) return
    const onExecuted = nodeType.prototype.onExecuted
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.call(this, output)
      show(this, output)
    }
  },
})
