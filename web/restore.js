// When the user returns to a workflow's tab, its nodes are created again: show once more what they had reported.
import { app } from "../../scripts/app.js"
import { findStatus } from "./status.js"

// Outputs are stored under "<id>", or under "<id of the subgraph>:<id>".
function findNode(key) {
  const [id, subgraph] = key.split(":").reverse()
  const root = app.rootGraph ?? app.graph
  const graph = subgraph ? root.subgraphs?.get(subgraph) : root
  return graph?.getNodeById(id)
}

app.registerExtension({
  name: "sdc.restore",
  onNodeOutputsUpdated(outputs) {
    for (const [key, output] of Object.entries(outputs)) {
      const node = findNode(key)
      if (node?.comfyClass?.startsWith("SDC") && output?.text && !findStatus(node)) node.onExecuted(output)
    }
  },
})
