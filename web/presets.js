// Grays the settings that another setting leaves unused: of SD Latent Quantize by the preset, of others by auto_strength.
// The node's schema says which ones each value uses.
import { app } from "../../scripts/app.js"

// The inputs that decide about others: [name, {value: names of the settings that it uses}].
function deciders(node) {
  const { required = {}, optional = {} } = node.constructor.nodeData?.input ?? {}
  return Object.entries({ ...required, ...optional }).flatMap(([name, [, more]]) =>
    more?.sdc_settings ? [[name, more.sdc_settings]] : [],
  )
}

function grayUnused(node, name, settings) {
  const value = node.widgets.find((widget) => widget.name === name)?.value
  // A value from a link, as in a blueprint, is not known here, and one of another version is not known at all.
  const used = node.isInputConnected(node.findInputSlot(name)) ? undefined : settings[value]
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
    for (const [name, settings] of deciders(node)) {
      const decider = node.widgets.find((widget) => widget.name === name)
      // After each of these another value may be chosen.
      for (const [owner, event] of [[decider, "callback"], [node, "onConfigure"], [node, "onConnectionsChange"]]) {
        const before = owner[event]
        owner[event] = function (...args) {
          const result = before?.apply(this, args)
          grayUnused(node, name, settings)
          return result
        }
      }
      grayUnused(node, name, settings)
    }
  },
})
