// .sdc files dropped on the canvas: open the workflow inside, or add a Load SDC.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { forwardFiles, inspect, isSdc, warn } from "./files.js"
import { addLoader, loadInto, takesFiles } from "./load.js"
import { t } from "./i18n.js"

// [file, what the server says about it] of every file that can be read; a toast says what is wrong with the others.
async function inspectAll(files) {
  const found = []
  for (const file of files) {
    try {
      found.push([file, await inspect(file)])
    } catch (error) {
      warn(`${file.name}: ${error.message}`)
    }
  }
  return found
}

function chooseAction(found) {
  const holders = found.filter(([, { workflow }]) => workflow)
  if (!holders.length) return "add"
  const one = holders.length === 1
  const count = found.reduce((sum, [, { images }]) => sum + images, 0)
  const [[first, { lines }]] = holders
  const message = one
    ? `${t("{file} holds the workflow it was made with.", { file: first.name })}\n${lines[0]}`
    : t("{count} files hold the workflows they were made with.", { count: holders.length })
  return chooseDialog({
    title: one ? t("Open the workflow?") : t("Open the workflows?"),
    message,
    answers: [
      ["open", one ? t("Open the workflow") : t("Open {count} workflows", { count: holders.length })],
      ["add", count === 1 ? t("Add the image") : t("Add {count} images", { count })],
    ],
  })
}

async function open(files, position, forwardOthers) {
  const found = await inspectAll(files)
  const action = await chooseAction(found)
  if (!action) return // Esc: nothing happens, not to the other files either
  forwardOthers() // before a workflow is opened: they belong to the graph that they were dropped on
  const opened = action === "open" ? found.filter(([, { workflow }]) => workflow) : []
  const added = found.filter((entry) => !opened.includes(entry)).map(([file]) => file)
  if (added.length) await loadInto(addLoader(app.canvas.graph, position), added)
  for (const [file, { workflow }] of opened) {
    await app.loadGraphData(workflow, true, true, file.name.replace(/\.sdc$/i, ""))
  }
}

function positionOf(event) {
  return app.canvas.convertEventToCanvasOffset?.(event) ?? [...app.canvas.graph_mouse]
}

// There is no public hook for drops on the canvas. The event bubbles up here after the node under the pointer and before
// the front end's own listener, which takes over where something that we need is missing.
document.body.addEventListener("drop", (event) => {
  const files = [...(event.dataTransfer?.files ?? [])]
  if (event.defaultPrevented || !files.some(isSdc)) return
  if (takesFiles(app.dragOverNode)) return // the node itself takes them
  if (typeof app.loadGraphData !== "function" || !app.canvas?.graph) return
  const position = positionOf(event)
  event.preventDefault()
  event.stopPropagation()
  const forwardOthers = () => forwardFiles(event, files)
  open(files.filter(isSdc), position, forwardOthers).catch((error) => warn(error.message))
})
