// .sdc files dropped on the canvas: open the workflow inside, or add a Load SDC.
import { app } from "../../scripts/app.js"
import { inspect, isSdc, warn } from "./files.js"
import { addLoader, loadInto } from "./load.js"

async function open(file, position) {
  let found
  try {
    found = await inspect(file)
  } catch (error) {
    warn(`${file.name}: ${error.message}`)
    return
  }
  if (found.workflow && (await wantsWorkflow(file))) {
    await app.loadGraphData(found.workflow, true, true, file.name.replace(/\.sdc$/i, ""))
  } else {
    await loadInto(addLoader(app.canvas.graph, position), [file])
  }
}

function wantsWorkflow(file) {
  return app.extensionManager.dialog.confirm({
    title: "Open the workflow?",
    message: `${file.name} holds the workflow it was made with. Confirm opens it; Cancel adds a Load SDC with the picture instead.`,
  })
}

async function openAll(files, [x, y]) {
  for (const [index, file] of files.entries()) {
    if (isSdc(file)) await open(file, [x + 40 * index, y + 40 * index])
    else await app.handleFile(file, "file_drop")
  }
}

function positionOf(event) {
  return app.canvas.convertEventToCanvasOffset?.(event) ?? [...app.canvas.graph_mouse]
}

// There is no public hook for drops on the canvas. On its way up the event comes here after a node below the pointer
// and before the front end's own listener, which takes over unless everything needed is in its place.
document.body.addEventListener("drop", (event) => {
  const files = [...(event.dataTransfer?.files ?? [])]
  if (event.defaultPrevented || !files.some(isSdc)) return
  const onto = app.dragOverNode
  if (onto?.comfyClass === "SDCLoad" || onto?.type === "SDCLoad") return // the node itself takes them
  const needed = [app.loadGraphData, app.handleFile, app.extensionManager?.dialog?.confirm]
  if (!needed.every((part) => typeof part === "function") || !app.canvas?.graph) return
  const position = positionOf(event)
  event.preventDefault()
  event.stopPropagation()
  app.dragOverNode = null
  openAll(files, position).catch((error) => warn(error.message))
})
