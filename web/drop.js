// .sdc files dropped on the canvas: open the workflow inside, or add a Load SDC.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { forwardFiles, inspect, isSdc, warn } from "./files.js"
import { addLoader, loadInto } from "./load.js"
import { t } from "./i18n.js"

// [file, workflow or undefined, what else the server says] of every file that can be read; of the others it is told what
// is wrong.
async function look(files) {
  const found = []
  for (const file of files) {
    try {
      const about = await inspect(file)
      found.push([file, about.workflow ?? undefined, about])
    } catch (error) {
      warn(`${file.name}: ${error.message}`)
    }
  }
  return found
}

function askWhat(found) {
  const holders = found.filter(([, workflow]) => workflow)
  if (!holders.length) return "add"
  const one = holders.length === 1
  const count = found.reduce((sum, [, , { images }]) => sum + images, 0)
  const message = one
    ? `${t("{file} holds the workflow it was made with.", { file: holders[0][0].name })}\n${holders[0][2].lines[0]}`
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

async function open(files, position, others) {
  const found = await look(files)
  const answer = await askWhat(found)
  if (!answer) return // Esc: nothing at all happens, to the other files neither
  others() // they are for the graph that they were dropped on
  const opened = answer === "open" ? found.filter(([, workflow]) => workflow) : []
  const added = found.filter((entry) => !opened.includes(entry)).map(([file]) => file)
  if (added.length) await loadInto(addLoader(app.canvas.graph, position), added)
  for (const [file, workflow] of opened) {
    await app.loadGraphData(workflow, true, true, file.name.replace(/\.sdc$/i, ""))
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
  if (typeof app.loadGraphData !== "function" || !app.canvas?.graph) return
  const position = positionOf(event)
  event.preventDefault()
  event.stopPropagation()
  const others = () => forwardFiles(event, files)
  open(files.filter(isSdc), position, others).catch((error) => warn(error.message))
})
