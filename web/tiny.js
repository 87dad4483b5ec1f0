// Extensions > SDC in ComfyUI's menu: installs the pack's tiny models where the loaders find them.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { installTinyModels, toast, warn } from "./files.js"
import { t } from "./i18n.js"

const MEGABYTES = 390

function confirm() {
  return chooseDialog({
    title: t("Install the tiny models?"),
    message: t(
      "This writes {size} MB into ComfyUI's models folders, for loaders of checkpoints and ControlNets. The node Load SDC Tiny Models has the same models and writes nothing.",
      { size: MEGABYTES },
    ),
    answers: [["install", t("Write {size} MB", { size: MEGABYTES })]],
  })
}

// The lists of the loaders, and what the page has marked as missing.
async function refreshLists() {
  try {
    await app.extensionManager.command.execute("Comfy.RefreshNodeDefinitions")
  } catch {
    await app.refreshComboInNodes?.()
  }
}

async function install() {
  if (!(await confirm())) return
  const toasts = app.extensionManager.toast
  // Front end 1.58 cannot take a message back, so this one goes by itself.
  const detail = t("Writing {size} MB …", { size: MEGABYTES })
  const progress = { severity: "info", summary: "SDC", detail, life: 10000 }
  toasts.add(progress)
  try {
    const { written } = await installTinyModels()
    await refreshLists()
    toast(
      written.length
        ? t("Installed: {files}", { files: written.join(", ") })
        : t("The tiny models are there already."),
    )
  } catch (error) {
    warn(t("The tiny models could not be installed: {reason}", { reason: error.message }))
  } finally {
    toasts.remove?.(progress)
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
