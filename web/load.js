// Load SDC: choose, drop or paste a .sdc file, and see what is in it before a run.
import { app } from "../../scripts/app.js"
import { download, forwardFiles, info, isSdc, openViewer, splitName, thumbnail, upload, warn } from "./files.js"
import { show } from "./status.js"
import { t } from "./i18n.js"

const GAP = 60 // between nodes, the height of a title included
const COLUMN_LENGTH = 4 // nodes

// Of a Load SDC, or of a subgraph such as the blueprint SDC Decompress File the one that stands for it.
function fileWidget(node) {
  const name = node?.comfyClass === "SDCLoad" ? "file" : promotedFile(node)
  return name && node.widgets?.find((widget) => widget.name === name)
}

// The name of a subgraph's input that leads to the file of a Load SDC inside.
function promotedFile(node) {
  const subgraph = node?.subgraph
  const leadsToFile = (linkId) => {
    const link = subgraph.getLink?.(linkId) ?? subgraph.links?.get?.(linkId)
    const inner = link && subgraph.getNodeById(link.target_id)
    const name = inner?.inputs?.[link.target_slot]?.name
    return inner?.comfyClass === "SDCLoad" ? name === "file" : Boolean(name) && name === promotedFile(inner)
  }
  return subgraph?.inputs?.find((input) => input.linkIds?.some(leadsToFile))?.name
}

export const takesFiles = (node) => Boolean(fileWidget(node))

// The file that a Load SDC opens: the chosen one, or where another node gives it, the one of the last run.
function fileOf(node) {
  return node.isInputConnected?.(node.findInputSlot("file")) ? node.sdcFile : fileWidget(node)?.value
}

async function describe(node) {
  if (node.comfyClass !== "SDCLoad") return
  const file = fileOf(node)
  if (!file || !isSdc({ name: splitName(file).filename })) return show(node, []) // the list is empty and says so
  try {
    const found = await info(file)
    if (fileOf(node) !== file) return
    node.sdcModel = found.has_settings ? found.model : undefined // for its menu
    show(node, found.lines, [thumbnail({ ...found, file })])
  } catch (error) {
    if (fileOf(node) === file) show(node, [`⚠ ${error.message}`])
  }
}

function select(node, name) {
  const widget = fileWidget(node)
  // Every Load SDC has its own copy of the list.
  if (Array.isArray(widget.options.values) && !widget.options.values.includes(name)) widget.options.values.push(name)
  widget.value = name
  widget.callback?.(name)
  node.setDirtyCanvas(true, true)
}

export function addLoader(graph, [x, y]) {
  const node = LiteGraph.createNode("SDCLoad")
  node.pos = [x, y]
  graph.add(node)
  return node
}

// Where the next node goes: below this one, or at the head of the next column.
function placeAfter(node, index, [left, top]) {
  if (index % COLUMN_LENGTH) return [node.pos[0], node.pos[1] + node.size[1] + GAP]
  return [left + (index / COLUMN_LENGTH) * (node.size[0] + GAP), top]
}

// The first file goes into this node, each further one into a new Load SDC next to it.
export async function loadInto(node, files) {
  const start = [...node.pos]
  let index = 0
  for (const file of files) {
    try {
      const name = await upload(file)
      if (index) node = addLoader(node.graph, placeAfter(node, index, start))
      index += 1
      select(node, name)
      await describe(node) // so that the next node does not cover the thumbnail
    } catch (error) {
      warn(`${file.name}: ${error.message}`)
    }
  }
}

function chooseFiles(node) {
  const input = document.createElement("input")
  input.type = "file"
  input.accept = ".sdc"
  input.multiple = true
  input.onchange = () => loadInto(node, [...input.files].filter(isSdc))
  input.click()
}

async function pastePath(node, path) {
  try {
    select(node, (await info(path)).file)
  } catch (error) {
    warn(error.message)
  }
}

// What file managers copy: C:\images\a.sdc, perhaps in quotes, or file:///images/a.sdc
function toPath(text) {
  const path = text.trim().replace(/^(["'])(.*)\1$/, "$2")
  if (/[\r\n]/.test(path) || !/\.sdc( \[\w+\])?$/i.test(path)) return undefined
  if (!path.startsWith("file://")) return path
  try {
    return decodeURIComponent(path.replace(/^file:\/\/(\/(?=[A-Za-z]:))?/, ""))
  } catch {
    return path // a % that encodes nothing; the server will say that there is no such file
  }
}

function selectedLoader() {
  const selected = [...(app.canvas?.selectedItems ?? [])]
  return selected.length === 1 && takesFiles(selected[0]) ? selected[0] : undefined
}

// Before the front end's own listener, which would paste the nodes that were copied last.
document.addEventListener(
  "paste",
  (event) => {
    if (event.target?.closest?.("input, textarea, [contenteditable]")) return
    const node = selectedLoader()
    if (!node) return
    const files = [...(event.clipboardData?.files ?? [])].filter(isSdc)
    const path = files.length ? undefined : toPath(event.clipboardData?.getData("text/plain") ?? "")
    if (!files.length && !path) return
    event.preventDefault()
    event.stopImmediatePropagation()
    if (files.length) loadInto(node, files)
    else pastePath(node, path)
  },
  true,
)

function acceptDrops(node) {
  const { onDragOver, onDragDrop } = node
  node.onDragOver = function (event) {
    const holdsFiles = [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file")
    return (holdsFiles && takesFiles(node)) || (onDragOver?.apply(this, arguments) ?? false)
  }
  node.onDragDrop = async function (event) {
    const files = [...event.dataTransfer.files]
    if (!files.some(isSdc) || !takesFiles(node)) return (await onDragDrop?.apply(this, arguments)) ?? false
    forwardFiles(event, files)
    await loadInto(node, files.filter(isSdc))
    return true
  }
}

app.registerExtension({
  name: "sdc.load",

  nodeCreated(node) {
    if (node.comfyClass === "SDCLoad" || node.isSubgraphNode?.()) acceptDrops(node)
    if (node.comfyClass !== "SDCLoad") return
    const button = node.addWidget("button", "upload", null, () => chooseFiles(node), { serialize: false })
    button.label = t("choose .sdc to upload")
    button.serialize = false

    const widget = fileWidget(node)
    const callback = widget.callback
    widget.callback = function (...values) {
      const result = callback?.apply(this, values)
      describe(node)
      return result
    }
    widget.beforeQueued = () => describe(node) // the page itself says little when a run is refused
    const onConfigure = node.onConfigure
    node.onConfigure = function (...values) {
      onConfigure?.apply(this, values)
      describe(node)
    }
    const onExecuted = node.onExecuted
    node.onExecuted = function (output) {
      onExecuted?.call(this, output)
      node.sdcFile = output?.sdc_file?.[0]
      describe(node) // the file may have changed since it was chosen
    }
    const onConnectionsChange = node.onConnectionsChange
    node.onConnectionsChange = function (...values) {
      onConnectionsChange?.apply(this, values)
      describe(node)
    }
    describe(node)
  },

  getNodeMenuItems(node) {
    const file = node.comfyClass === "SDCLoad" && fileOf(node)
    if (!file || !isSdc({ name: splitName(file).filename })) return []
    return [
      null,
      { content: t("Open in viewer"), callback: () => openViewer(file) },
      { content: t("Download .sdc file"), callback: () => download(splitName(file)) },
    ]
  },
})
