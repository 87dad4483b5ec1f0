// A subgraph shows what the SDC nodes in it report: size and file name of a blueprint, without opening it.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"
import { joinName, thumbnail } from "./files.js"
import { show } from "./status.js"

const MOST_PICTURES = 4

// The subgraph on the canvas and the node in it that an execution id such as "12:5" stands for.
function place(id) {
  const path = String(id).split(":")
  if (path.length < 2) return undefined
  const host = (app.rootGraph ?? app.graph).getNodeById(path[0])
  let node = host
  for (const step of path.slice(1)) node = node?.subgraph?.getNodeById(step)
  return node?.comfyClass?.startsWith("SDC") ? [host, node] : undefined
}

api.addEventListener("executed", ({ detail }) => {
  const found = place(detail.display_node ?? detail.node)
  const { text, files } = detail.output ?? {}
  if (!found || !text) return
  const [host, node] = found
  const reports = (host.sdcReports ??= new Map()) // of each node in it, in the order of the run
  reports.set(node.id, { text, pictures: (files ?? []).map(joinName).map(thumbnail) })
  const all = [...reports.values()]
  show(
    host,
    all.flatMap((report) => report.text),
    all.flatMap((report) => report.pictures).slice(0, MOST_PICTURES),
  )
})
