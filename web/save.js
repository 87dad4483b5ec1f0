// Save SDC: show what was written, offer it for download, and fill %date:...% and %Node.widget% into its file name.
import { app } from "../../scripts/app.js"
import { download, info, joinName, openViewer, thumbnail, view } from "./files.js"
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

// The JPEG that Save SDC has written next to the file; where it has not, the server draws one.
async function previewOf(file, images) {
  const name = file.filename.replace(/\.sdc$/, ".jpg")
  const written = images.find(({ filename, subfolder }) => filename === name && subfolder === file.subfolder)
  return written ? view(written) : thumbnail(await info(joinName(file)))
}

async function report(node, { files = [], images = [], text = [] }) {
  node.sdcFiles = files
  const previews = files.slice(0, MAX_IMAGES).map((file) => previewOf(file, images))
  show(node, text, await Promise.all(previews).catch(() => [])) // without: the file is gone already
}

app.registerExtension({
  name: "sdc.save",

  nodeCreated(node) {
    if (node.comfyClass !== "SDCSave") return
    const prefix = node.widgets.find((widget) => widget.name === "filename_prefix")
    prefix.serializeValue = () => fillIn(prefix.value)
    // Else the page would draw the thumbnails a second time: the Vue renderer reads the first, the classic canvas the
    // second.
    node.hideOutputImages = true
    node.onDrawBackground = undefined
    const onExecuted = node.onExecuted
    node.onExecuted = function (output) {
      onExecuted?.call(this, output)
      report(node, output ?? {})
    }
  },

  getNodeMenuItems(node) {
    if (!node.sdcFiles?.length) return []
    const one = node.sdcFiles.length === 1
    const items = node.sdcFiles.flatMap((file) => [
      {
        content: one ? t("Open in viewer") : t("Open {file} in viewer", { file: file.filename }),
        callback: () => openViewer(joinName(file)),
      },
      { content: t("Download {file}", { file: file.filename }), callback: () => download(file) },
    ])
    return [null, ...items]
  },
})
