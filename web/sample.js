// The pack's workflows start from its sample image: put it into the input folder when one of them is opened.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

const NAME = "sdc_cat.jpg"
// By the class of the node that loads it: its widget, the value of that, and the subfolder of the input folder.
const SAMPLES = {
  LoadImage: { widget: "image", value: NAME, subfolder: "" },
  SDCLoadImageFolder: { widget: "folder", value: "sdc_sample", subfolder: "sdc_sample" },
}

const uploads = {} // by the class of the node: the upload that is under way or done

// Whether the server listed it when the page was loaded.
function isListed(type) {
  const [options, more] = LiteGraph.registered_node_types[type]?.nodeData?.input?.required?.[SAMPLES[type].widget] ?? []
  return [options, more?.options].some((names) => Array.isArray(names) && names.includes(SAMPLES[type].value))
}

async function putIntoInput(subfolder) {
  const image = await fetch(new URL(`./sample/${NAME}`, import.meta.url))
  const body = new FormData()
  body.append("image", new File([await image.blob()], NAME, { type: "image/jpeg" }))
  body.append("subfolder", subfolder)
  await api.fetchApi("/upload/image", { method: "POST", body })
}

const usesSample = (node, type) => node?.type === type && node.widgets_values?.includes?.(SAMPLES[type].value)

app.registerExtension({
  name: "sdc.sample",

  async beforeConfigureGraph(graph) {
    for (const type of Object.keys(SAMPLES)) {
      if (!graph?.nodes?.some?.((node) => usesSample(node, type)) || isListed(type)) continue
      uploads[type] ??= putIntoInput(SAMPLES[type].subfolder)
      await uploads[type].catch(() => delete uploads[type]) // the page will say that the image is missing
    }
  },

  // The page marks what is not in the node's list of files as missing, and that list is older than the upload.
  loadedGraphNode(node) {
    const sample = Object.hasOwn(SAMPLES, node.type) && SAMPLES[node.type]
    const widget = sample && node.widgets?.find(({ value }) => value === sample.value)
    if (uploads[node.type] && Array.isArray(widget?.options?.values) && !widget.options.values.includes(sample.value)) {
      widget.options.values.push(sample.value)
    }
  },
})
