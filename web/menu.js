// "Compress with SDC" in the menu of every node that outputs or shows an image.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { warn } from "./files.js"
import { t } from "./i18n.js"

const GAP = 60
const MIN_WIDTH = 280 // before Vue has drawn a node, it is wider than it says

const slotOf = (slots, type) => slots?.findIndex((slot) => slot.type === type) ?? -1

// What is wired to an input, [node, output]; undefined for an input that is free or fed from outside the subgraph.
function sourceOf(node, input) {
  const from = input >= 0 && node.getInputNode(input)
  return from ? [from, node.getInputLink(input).origin_slot] : undefined
}

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

// A VAE that is in the graph already: the loader of a VAE, else that of a checkpoint.
function vaeIn(graph) {
  const nodes = graph.nodes.filter((node) => slotOf(node.outputs, "VAE") >= 0)
  const vae = nodes.find((node) => node.type === "VAELoader") ?? nodes[0]
  return vae && [vae, slotOf(vae.outputs, "VAE")]
}

const rightOf = (node) => [node.pos[0] + Math.max(node.size[0], MIN_WIDTH) + GAP, node.pos[1]]
const below = (node) => [node.pos[0], node.pos[1] + node.size[1] + 2 * GAP]

function add(graph, type, pos) {
  const node = LiteGraph.createNode(type)
  node.pos = pos // before it is in the graph: Vue as ComfyUI 0.16.3 has it does not notice it afterwards
  graph.add(node)
  return node
}

function addVae(graph, encoder) {
  const loader = add(graph, "CheckpointLoaderSimple", below(encoder))
  return [loader, slotOf(loader.outputs, "VAE")]
}

// To the first input that takes this type.
function connect([from, output], to, type) {
  const input = to.inputs.findIndex((slot) => String(slot.type).split(",").includes(type))
  from.connect(output, to, input)
}

const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name)

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
  let encoder = node
  if (node.type !== "VAEEncode") {
    encoder = add(graph, "VAEEncode", rightOf(node))
    connect(image, encoder, "IMAGE")
  }
  const slot = slotOf(encoder.inputs, "VAE")
  const fromOutside = encoder.isInputConnected(slot) && !sourceOf(encoder, slot)
  const vae = fromOutside ? undefined : (vaeAbove(encoder) ?? vaeIn(graph) ?? addVae(graph, encoder))
  if (vae && !encoder.isInputConnected(slot)) connect(vae, encoder, "VAE")
  const quantize = add(graph, "SDCLatentQuantize", rightOf(encoder))
  const save = add(graph, "SDCSave", rightOf(quantize))
  connect([encoder, 0], quantize, "LATENT")
  connect([quantize, 0], save, "SDC")
  // Its true size, and the PNG that the file is compared with.
  for (const target of image ? [quantize, save] : []) connect(image, target, "IMAGE")
  app.canvas.selectItems?.([quantize, save])
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
