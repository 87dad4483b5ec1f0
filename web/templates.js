// Browse Templates lists a pack's workflows in no particular order: sort ours, the introduction first.
import { api } from "../../scripts/api.js"

const ORDER = [
  "SDC Demo",
  "SDC Compress an Image",
  "SDC Open and Regenerate",
  "SDC Remove Artifacts",
  "SDC Keep a Part Finer",
  "SDC Save and Resample",
  "SDC Compress a Folder",
  "SDC Regenerate a Folder",
  "SDC Full Pipeline",
  "SDC with SDXL",
  "SDC with SD3",
  "SDC with Flux",
  "SDC with Z-Image",
  "SDC with Qwen-Image",
  "SDC Change the Prompt",
  "SDC Compare Settings",
  "SDC Compare with JPEG and AVIF",
  "SDC Regenerate with Stock Nodes",
]

const position = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)

const getWorkflowTemplates = api.getWorkflowTemplates
api.getWorkflowTemplates = async function () {
  const templates = await getWorkflowTemplates.call(this)
  const pack = Object.keys(templates ?? {}).find((name) => templates[name].includes?.(ORDER[0]))
  if (pack) templates[pack].sort((one, other) => position(one) - position(other))
  return templates
}
