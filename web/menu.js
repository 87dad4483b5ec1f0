// "Compress with SDC" in the menu of every node that outputs or shows an image.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { warn } from "./files.js"
import { add, below, connect, listOf, rightOf, slotOf, sourceOf, vaeIn, widgetOf } from "./graph.js"
import { t } from "./i18n.js"

const TINY = "SDCLoadTinyModels"

// Where an image comes from: this node or, if it only shows images, the node before it.
function imageSource(node) {
  const output = slotOf(node.outputs, "IMAGE")
  return output >= 0 ? [node, output] : sourceOf(node, slotOf(node.inputs, "IMAGE"))
}

// The VAE that an image was made with: the nearest one that feeds a node above it.
function vaeAbove(node) {
  const queue = [node]
  const seen = new Set()
  while (queue.length) {
    const next = queue.shift()
    if (seen.has(next)) continue
    seen.add(next)
    const inputs = next.inputs ?? []
    const vae = sourceOf(next, slotOf(inputs, "VAE"))
    if (vae) return vae
    queue.push(...inputs.map((_, input) => next.getInputNode(input)).filter(Boolean))
  }
  return undefined
}

// The checkpoint whose VAE is to be used, TINY for the models of the pack; undefined after Esc.
function chooseModel() {
  const checkpoints = listOf("CheckpointLoaderSimple", "ckpt_name")
  if (checkpoints.length < 2) return checkpoints[0] ?? TINY
  return chooseDialog({
    title: t("Which model is this for?"),
    message: t("No VAE is in this graph yet. Choose the checkpoint whose VAE compresses the image."),
    answers: [[TINY, t("The tiny models of the pack")], ...checkpoints.map((name) => [name, name])],
  })
}

function addVae(graph, model, encoder) {
  const loader = add(graph, model === TINY ? TINY : "CheckpointLoaderSimple", below(encoder))
  if (model !== TINY) widgetOf(loader, "ckpt_name").value = model
  return [loader, slotOf(loader.outputs, "VAE")]
}

// The latent format is stored in the file. The node derives it from the VAE; where the VAE comes from outside the
// subgraph, the user is asked.
async function setLatentFormat(quantize, vae) {
  const widget = widgetOf(quantize, "latent_format")
  if (vae) {
    widget.value = "auto"
    connect(vae, quantize, "VAE")
    return
  }
  const names = widget.options.values.filter((name) => name !== "auto")
  widget.value =
    (await chooseDialog({
      title: t("Which model is this for?"),
      message: t("The VAE comes from outside this subgraph. Choose the latent format to store in the file."),
      answers: names.map((name) => [name, name]),
    })) ?? "auto"
}

async function compress(node) {
  const graph = node.graph
  const image = imageSource(node)
  const isEncoder = node.type === "VAEEncode"
  const slot = slotOf(node.inputs, "VAE")
  const fromOutside = isEncoder && node.isInputConnected(slot) && !sourceOf(node, slot)
  let vae = fromOutside ? undefined : (vaeAbove(node) ?? vaeIn(graph))
  const model = fromOutside || vae ? undefined : await chooseModel()
  if (!fromOutside && !vae && !model) return // Esc: nothing is added

  const encoder = isEncoder ? node : add(graph, "VAEEncode", rightOf(node))
  if (!isEncoder) connect(image, encoder, "IMAGE")
  if (model) vae = addVae(graph, model, encoder)
  if (vae && !encoder.isInputConnected(slotOf(encoder.inputs, "VAE"))) connect(vae, encoder, "VAE")
  const quantize = add(graph, "SDCLatentQuantize", rightOf(encoder))
  const save = add(graph, "SDCSave", rightOf(quantize))
  const decode = add(graph, "SDCDecode", rightOf(save))
  const preview = add(graph, "PreviewImage", below(decode))
  connect([encoder, 0], quantize, "LATENT")
  connect([quantize, 0], save, "SDC")
  connect([save, 0], decode, "SDC")
  connect([decode, 0], preview, "IMAGE")
  if (vae) connect(vae, decode, "VAE")
  // Its true size, and the PNG that the file is compared with.
  for (const target of image ? [quantize, save] : []) connect(image, target, "IMAGE")
  app.canvas.selectItems?.([quantize, save, decode, preview])
  app.canvas.setDirty(true, true)
  await setLatentFormat(quantize, vae)
}

app.registerExtension({
  name: "sdc.menu",
  getNodeMenuItems(node) {
    if (node.type !== "VAEEncode" && !imageSource(node)) return []
    const callback = () => compress(node).catch((error) => warn(error.message))
    return [null, { content: t("Compress with SDC"), callback }]
  },
})
