// The pack's workflows start from its sample images: put them into the input folder when one of them is opened.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

// By the class of the node that loads them: the widget; and by the value of that, the files. A name with a folder goes
// there. The masked one is transparent where it is painted over, as the mask editor saves images.
const SAMPLES = {
  LoadImage: {
    widget: "image",
    files: {
      "sdc_astronaut.jpg": ["sdc_astronaut.jpg"],
      "sdc_raccoon.jpg": ["sdc_raccoon.jpg"],
      "sdc_raccoon_masked.webp": ["sdc_raccoon_masked.webp"],
    },
  },
  SDCCompressFolder: {
    widget: "folder",
    files: { sdc_sample: ["sdc_astronaut", "sdc_cat", "sdc_raccoon"].map((name) => `sdc_sample/${name}.jpg`) },
  },
}

const uploads = {} // by the value of a widget: the upload that is under way or done

// Whether the server listed it when the page was loaded.
function isListed(type, value) {
  const [options, more] = LiteGraph.registered_node_types[type]?.nodeData?.input?.required?.[SAMPLES[type].widget] ?? []
  return [options, more?.options].some((names) => Array.isArray(names) && names.includes(value))
}

async function putIntoInput(path) {
  const [name, subfolder = ""] = path.split("/").reverse()
  const image = await fetch(new URL(`./sample/${name}`, import.meta.url))
  const body = new FormData()
  body.append("image", new File([await image.blob()], name))
  body.append("subfolder", subfolder)
  await api.fetchApi("/upload/image", { method: "POST", body })
}

const samplesOf = (type) => (Object.hasOwn(SAMPLES, type) ? Object.keys(SAMPLES[type].files) : [])

app.registerExtension({
  name: "sdc.sample",

  async beforeConfigureGraph(graph) {
    for (const { type, widgets_values: values } of graph?.nodes ?? []) {
      for (const value of samplesOf(type)) {
        if (!values?.includes?.(value) || isListed(type, value)) continue
        uploads[value] ??= Promise.all(SAMPLES[type].files[value].map(putIntoInput))
        await uploads[value].catch(() => delete uploads[value]) // the page will say that the image is missing
      }
    }
  },

  // The page marks what is not in the node's list of files as missing, and that list is older than the upload.
  loadedGraphNode(node) {
    const widget = node.widgets?.find(({ value }) => samplesOf(node.type).includes(value))
    const listed = widget?.options?.values
    if (uploads[widget?.value] && Array.isArray(listed) && !listed.includes(widget.value)) listed.push(widget.value)
  },
})
