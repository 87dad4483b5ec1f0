// SD Latent Quantize: grays the settings that the chosen preset does not use. The node's schema says which it uses.
import { app } from "../../scripts/app.js"

function grayUnused(node, settings) {
  const preset = node.widgets.find((widget) => widget.name === "preset")?.value
  // A preset from a link, as in a blueprint, is not known here, and one of another version is not known at all.
  const used = node.isInputConnected(node.findInputSlot("preset")) ? undefined : settings[preset]
  const known = new Set(Object.values(settings).flat())
  for (const widget of node.widgets.filter(({ name }) => known.has(name))) {
    widget.disabled = used ? !used.includes(widget.name) : false
    widget.options.disabled = widget.disabled // read by older front ends when Vue draws nodes
  }
  node.setDirtyCanvas(true, true)
}

app.registerExtension({
  name: "sdc.presets",
  nodeCreated(node) {
    const settings = node.constructor.nodeData?.input?.required?.preset?.[1]?.sdc_settings
    if (!settings) return
    const preset = node.widgets.find((widget) => widget.name === "preset")
    // After each of these another preset may be chosen.
    for (const [owner, name] of [[preset, "callback"], [node, "onConfigure"], [node, "onConnectionsChange"]]) {
      const before = owner[name]
      owner[name] = function (...args) {
        const result = before?.apply(this, args)
        grayUnused(node, settings)
        return result
      }
    }
    grayUnused(node, settings)
  },
})
