// SD Latent Quantize: grays the settings that the chosen preset does not use. The node's schema says which it uses.
import { app } from "../../scripts/app.js"

const settingsOf = (nodeData) => nodeData.input?.required?.preset?.[1]?.sdc_settings

function grayUnused(node, settings) {
  const preset = node.widgets?.find((widget) => widget.name === "preset")?.value
  const used = settings[preset]
  if (!used) return // a preset of another version
  const known = new Set(Object.values(settings).flat())
  for (const widget of node.widgets.filter(({ name }) => known.has(name))) {
    widget.disabled = !used.includes(widget.name)
    widget.options.disabled = widget.disabled // read by older front ends when Vue draws nodes
  }
  node.setDirtyCanvas(true, true)
}

app.registerExtension({
  name: "sdc.presets",
  beforeRegisterNodeDef(nodeType, nodeData) {
    const settings = settingsOf(nodeData)
    if (!settings) return
    const onNodeCreated = nodeType.prototype.onNodeCreated
    nodeType.prototype.onNodeCreated = function (...args) {
      onNodeCreated?.apply(this, args)
      const preset = this.widgets.find((widget) => widget.name === "preset")
      const callback = preset.callback
      preset.callback = (...args) => {
        const result = callback?.apply(preset, args)
        grayUnused(this, settings)
        return result
      }
      grayUnused(this, settings)
    }
    const onConfigure = nodeType.prototype.onConfigure
    nodeType.prototype.onConfigure = function (...args) {
      onConfigure?.apply(this, args)
      grayUnused(this, settings)
    }
  },
})
