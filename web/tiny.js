// Extensions > SDC in ComfyUI's menu: put the small models that come with the pack where the loaders find them.
import { app } from "../../scripts/app.js"
import { ask } from "./ask.js"
import { installTinyModels, tell, warn } from "./files.js"
import { say } from "./words.js"

const MEGABYTES = 390

function confirmed() {
  return ask({
    title: say("Install the tiny models?"),
    message: say(
      "This writes {size} MB into ComfyUI's models folders, for loaders of checkpoints and ControlNets. The node Load SDC Tiny Models has the same models and writes nothing.",
      { size: MEGABYTES },
    ),
    answers: [["install", say("Write {size} MB", { size: MEGABYTES })]],
  })
}

// Lists of loaders, and what the page has marked as missing.
async function refreshLists() {
  try {
    await app.extensionManager.command.execute("Comfy.RefreshNodeDefinitions")
  } catch {
    await app.refreshComboInNodes?.()
  }
}

async function install() {
  if (!(await confirmed())) return
  const toast = app.extensionManager.toast
  const working = { severity: "info", summary: "SDC", detail: say("Writing {size} MB …", { size: MEGABYTES }) }
  toast.add(working)
  try {
    const { written } = await installTinyModels()
    await refreshLists()
    tell(
      written.length
        ? say("Installed: {files}", { files: written.join(", ") })
        : say("The tiny models are there already."),
    )
  } catch (error) {
    warn(say("The tiny models could not be installed: {reason}", { reason: error.message }))
  } finally {
    toast.remove(working)
  }
}

app.registerExtension({
  name: "sdc.tiny",
  commands: [
    {
      id: "sdc.installTinyModels",
      label: `Install the tiny models of SDC (${MEGABYTES} MB)`,
      icon: "pi pi-download",
      function: install,
    },
  ],
  menuCommands: [{ path: ["Extensions", "SDC"], commands: ["sdc.installTinyModels"] }],
})
