// Shows what an SDC node reports (size, bits per pixel, warnings) in a line on the node.
// The front end draws `ui.text` only for nodes it knows by name.
import { app } from "../../scripts/app.js"

const NODES = ["SDCLatentQuantize", "SDCSave", "SDCLoad", "SDCDDIMInvert", "SDCRegenerateCanny"]
const LINE_HEIGHT = 18

function statusWidget(node) {
  const known = node.widgets?.find((widget) => widget.name === "sdc_status")
  if (known) return known
  const element = document.createElement("div")
  element.style.cssText =
    "font: 12px/18px sans-serif; color: var(--input-text); white-space: pre-wrap; overflow: auto; padding: 0 8px"
  const widget = node.addDOMWidget("sdc_status", "sdc_status", element, {
    serialize: false, // a saved workflow holds settings, not the last result
    getValue: () => element.textContent,
    setValue: () => {},
    getMinHeight: () => LINE_HEIGHT * element.textContent.split("\n").length + 4,
    getMaxHeight: () => LINE_HEIGHT * element.textContent.split("\n").length + 4,
  })
  widget.serialize = false
  return widget
}

function show(node, output) {
  const lines = output?.text ?? []
  if (!lines.length && !node.widgets?.some((widget) => widget.name === "sdc_status")) return
  const widget = statusWidget(node)
  widget.element.textContent = lines.join("\n") // text, never markup: it may come from a stranger's file
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)])
  node.setDirtyCanvas(true, true)
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
