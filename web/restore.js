// When a workflow's tab comes to the front again, its nodes are made anew: show once more what they had reported.
import { app } from "../../scripts/app.js"
import { findStatus } from "./status.js"

// Outputs are kept under "<id>", or under "<id of the subgraph>:<id>".
function find(place) {
  const [id, subgraph] = place.split(":").reverse()
  const root = app.rootGraph ?? app.graph
  const graph = subgraph ? root.subgraphs?.get(subgraph) : root
  return graph?.getNodeById(id)
}

app.registerExtension({
  name: "sdc.restore",
  onNodeOutputsUpdated(outputs) {
    for (const [place, output] of Object.entries(outputs)) {
      const node = find(place)
      if (node?.comfyClass?.startsWith("SDC") && output?.text && !findStatus(node)) node.onExecuted(output)
    }
  },
})
