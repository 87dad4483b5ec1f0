// "Compress with SDC" in the menu of every node that has an image to give.
import { app } from "../../scripts/app.js"
import { chooseDialog } from "./dialog.js"
import { warn } from "./files.js"
import { t } from "./i18n.js"

const GAP = 60
const COLUMN = 280 // nodes that are drawn by Vue are wider than they say before they are drawn

const slotOf = (slots, type) => slots?.findIndex((slot) => slot.type === type) ?? -1

// What is wired to an input, [node, output]; undefined for an input that is free or fed from outside of a subgraph.
function sourceOf(node, input) {
  const from = input >= 0 && node.getInputNode(input)
  return from ? [from, node.getInputLink(input).origin_slot] : undefined
}

// Where an image comes from: this node or, for one that only shows images, the node before it.
function imageSource(node) {
  const output = slotOf(node.outputs, "IMAGE")
  return output >= 0 ? [node, output] : sourceOf(node, slotOf(node.inputs, "IMAGE"))
}

// The VAE that an image was made with: the nearest one that feeds a node above it.
function vaeAbove(node) {
  const waiting = [node]
  const seen = new Set()
  while (waiting.length) {
    const next = waiting.shift()
    if (seen.has(next)) continue
    seen.add(next)
    const inputs = next.inputs ?? []
    const vae = sourceOf(next, slotOf(inputs, "VAE"))
    if (vae) return vae
    waiting.push(...inputs.map((_, input) => next.getInputNode(input)).filter(Boolean))
  }
  return undefined
}

// A VAE that is in the graph already: the loader of a VAE, else that of a checkpoint.
function vaeIn(graph) {
  const nodes = graph.nodes.filter((node) => slotOf(node.outputs, "VAE") >= 0)
  const vae = nodes.find((node) => node.type === "VAELoader") ?? nodes[0]
  return vae && [vae, slotOf(vae.outputs, "VAE")]
}

const beside = (node) => [node.pos[0] + Math.max(node.size[0], COLUMN) + GAP, node.pos[1]]
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

// The family goes into the file and cannot be mended later. So the node is given the VAE, which it takes it from; where
// the VAE comes from outside of a subgraph, somebody has to say.
async function settleFamily(quantize, vae) {
  const family = widgetOf(quantize, "latent_format")
  if (vae) {
    family.value = "auto"
    connect(vae, quantize, "VAE")
    return
  }
  const families = family.options.values.filter((name) => name !== "auto")
  family.value =
    (await chooseDialog({
      title: t("Which model is this for?"),
      message: t("The VAE comes from outside of this subgraph. The file must say which family it is of."),
      answers: families.map((name) => [name, name]),
    })) ?? "auto"
}

async function compress(node) {
  const graph = node.graph
  const image = imageSource(node)
  let encoder = node
  if (node.type !== "VAEEncode") {
    encoder = add(graph, "VAEEncode", beside(node))
    connect(image, encoder, "IMAGE")
  }
  const slot = slotOf(encoder.inputs, "VAE")
  const fromOutside = encoder.inputs[slot].link != null && !sourceOf(encoder, slot)
  const vae = fromOutside ? undefined : (vaeAbove(encoder) ?? vaeIn(graph) ?? addVae(graph, encoder))
  if (vae && encoder.inputs[slot].link == null) connect(vae, encoder, "VAE")
  const quantize = add(graph, "SDCLatentQuantize", beside(encoder))
  const save = add(graph, "SDCSave", beside(quantize))
  connect([encoder, 0], quantize, "LATENT")
  connect([quantize, 0], save, "SDC")
  // Its true size, and the PNG that the file is compared with.
  for (const target of image ? [quantize, save] : []) connect(image, target, "IMAGE")
  app.canvas.selectItems?.([quantize, save])
  app.canvas.setDirty(true, true)
  await settleFamily(quantize, vae)
}

app.registerExtension({
  name: "sdc.menu",
  getNodeMenuItems(node) {
    if (node.type !== "VAEEncode" && !imageSource(node)) return []
    const callback = () => compress(node).catch((error) => warn(error.message))
    return [null, { content: t("Compress with SDC"), callback }]
  },
})
