// Save SDC: show what was written, offer it for download, and fill %date:...% and %Node.widget% into its file name.
import { app } from "../../scripts/app.js"
import { download, joinName, thumbnail } from "./files.js"
import { show } from "./status.js"
import { t } from "./i18n.js"

const MAX_IMAGES = 4 // of a batch

// The front end expands these for core's savers, which it knows by name.
function fillIn(prefix) {
  try {
    return globalThis.comfyAPI.utils.applyTextReplacements(app, prefix)
  } catch {
    return prefix // the server fills in dates by itself
  }
}

app.registerExtension({
  name: "sdc.save",

  nodeCreated(node) {
    if (node.comfyClass !== "SDCSave") return
    const prefix = node.widgets.find((widget) => widget.name === "filename_prefix")
    prefix.serializeValue = () => fillIn(prefix.value)
    // The page would draw its thumbnail files too, which are there for the assets view: the Vue renderer goes by the
    // first, the classic canvas by the second.
    node.hideOutputImages = true
    node.onDrawBackground = undefined
    const onExecuted = node.onExecuted
    node.onExecuted = function (output) {
      onExecuted?.call(this, output)
      node.sdcFiles = output?.files ?? []
      show(node, output?.text ?? [], node.sdcFiles.slice(0, MAX_IMAGES).map(joinName).map(thumbnail))
    }
  },

  getNodeMenuItems(node) {
    if (!node.sdcFiles?.length) return []
    const items = node.sdcFiles.map((file) => ({
      content: t("Download {file}", { file: file.filename }),
      callback: () => download(file),
    }))
    return [null, ...items]
  },
})
