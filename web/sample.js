// Workflows of the pack begin with a picture that comes with it: put it into the input folder when one is opened.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

const NAME = "sdc_cat.jpg"

let fetched // the upload, once it was needed

// What the server listed when the page was loaded.
function isListed() {
  const [type, options] = LiteGraph.registered_node_types.LoadImage?.nodeData?.input?.required?.image ?? []
  return [type, options?.options].some((names) => Array.isArray(names) && names.includes(NAME))
}

async function putIntoInput() {
  const picture = await fetch(new URL(`./sample/${NAME}`, import.meta.url))
  const body = new FormData()
  body.append("image", new File([await picture.blob()], NAME, { type: "image/jpeg" }))
  await api.fetchApi("/upload/image", { method: "POST", body })
}

const wants = (node) => node?.type === "LoadImage" && node.widgets_values?.[0] === NAME

app.registerExtension({
  name: "sdc.sample",

  async beforeConfigureGraph(graph) {
    if (!graph?.nodes?.some?.(wants) || isListed()) return
    fetched ??= putIntoInput()
    await fetched.catch(() => (fetched = undefined)) // then the page says that the picture is missing
  },

  // Its list of files is older than that, and the page marks what is not on it as missing.
  loadedGraphNode(node) {
    const widget = node.type === "LoadImage" && node.widgets?.find(({ value }) => value === NAME)
    if (fetched && Array.isArray(widget?.options?.values) && !widget.options.values.includes(NAME)) {
      widget.options.values.push(NAME)
    }
  },
})
