// SD Latent Quantize: what the chosen preset does not go by is grayed. The node says which settings those are.
import { app } from "../../scripts/app.js"

const settingsOf = (nodeData) => nodeData.input?.required?.preset?.[1]?.sdc_settings

function gray(node, settings) {
  const preset = node.widgets?.find((widget) => widget.name === "preset")?.value
  const used = settings[preset]
  if (!used) return // a preset of another version
  const known = new Set(Object.values(settings).flat())
  for (const widget of node.widgets.filter(({ name }) => known.has(name))) {
    widget.disabled = !used.includes(widget.name)
    widget.options.disabled = widget.disabled // where older front ends look when they draw nodes with Vue
  }
  node.setDirtyCanvas(true, true)
}

app.registerExtension({
  name: "sdc.presets",
  beforeRegisterNodeDef(nodeType, nodeData) {
    const settings = settingsOf(nodeData)
    if (!settings) return
    const onNodeCreated = nodeType.prototype.onNodeCreated
    nodeType.prototype.onNodeCreated = function (...values) {
      onNodeCreated?.apply(this, values)
      const preset = this.widgets.find((widget) => widget.name === "preset")
      const callback = preset.callback
      preset.callback = (...given) => {
        const result = callback?.apply(preset, given)
        gray(this, settings)
        return result
      }
      gray(this, settings)
    }
    const onConfigure = nodeType.prototype.onConfigure
    nodeType.prototype.onConfigure = function (...values) {
      onConfigure?.apply(this, values)
      gray(this, settings)
    }
  },
})
