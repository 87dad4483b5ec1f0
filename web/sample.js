// Workflows of the pack begin with an image that comes with it: put it into the input folder when one is opened.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

const NAME = "sdc_cat.jpg"
// By the node that asks for it: its widget, what that is set to, and the folder of the input folder that it looks in.
const WANTED = {
  LoadImage: { widget: "image", value: NAME, subfolder: "" },
  LoadImageDataSetFromFolder: { widget: "folder", value: "sdc_sample", subfolder: "sdc_sample" },
}

const uploads = {} // by the class of the node, once one was needed

// What the server listed when the page was loaded.
function isListed(type) {
  const [options, more] = LiteGraph.registered_node_types[type]?.nodeData?.input?.required?.[WANTED[type].widget] ?? []
  return [options, more?.options].some((names) => Array.isArray(names) && names.includes(WANTED[type].value))
}

async function putIntoInput(subfolder) {
  const image = await fetch(new URL(`./sample/${NAME}`, import.meta.url))
  const body = new FormData()
  body.append("image", new File([await image.blob()], NAME, { type: "image/jpeg" }))
  body.append("subfolder", subfolder)
  await api.fetchApi("/upload/image", { method: "POST", body })
}

const wants = (node, type) => node?.type === type && node.widgets_values?.[0] === WANTED[type].value

app.registerExtension({
  name: "sdc.sample",

  async beforeConfigureGraph(graph) {
    for (const type of Object.keys(WANTED)) {
      if (!graph?.nodes?.some?.((node) => wants(node, type)) || isListed(type)) continue
      uploads[type] ??= putIntoInput(WANTED[type].subfolder)
      await uploads[type].catch(() => delete uploads[type]) // then the page says that the image is missing
    }
  },

  // Its list of files is older than that, and the page marks what is not on it as missing.
  loadedGraphNode(node) {
    const sample = Object.hasOwn(WANTED, node.type) && WANTED[node.type]
    const widget = sample && node.widgets?.find(({ value }) => value === sample.value)
    if (uploads[node.type] && Array.isArray(widget?.options?.values) && !widget.options.values.includes(sample.value)) {
      widget.options.values.push(sample.value)
    }
  },
})
