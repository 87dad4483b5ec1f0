// "Compress with SDC" in the menu of every node that has a picture to give.
import { app } from "../../scripts/app.js"
import { tell } from "./files.js"

const GAP = 60

const slotOf = (slots, type) => slots?.findIndex((slot) => slot.type === type) ?? -1

// Where a picture comes from: [node, output], of this node or, for one that only shows pictures, of the node before it.
function pictureSource(node) {
  const output = slotOf(node.outputs, "IMAGE")
  if (output >= 0) return [node, output]
  const input = slotOf(node.inputs, "IMAGE")
  const from = input >= 0 && node.getInputNode(input)
  return from ? [from, node.getInputLink(input).origin_slot] : undefined
}

// A VAE that is in the graph already: the loader of a VAE, else that of a checkpoint.
function findVae(graph) {
  const nodes = graph.nodes.filter((node) => slotOf(node.outputs, "VAE") >= 0)
  const vae = nodes.find((node) => node.type === "VAELoader") ?? nodes[0]
  return vae && [vae, slotOf(vae.outputs, "VAE")]
}

function add(graph, type, after, below = 0) {
  const node = LiteGraph.createNode(type)
  graph.add(node)
  node.pos = [after.pos[0] + after.size[0] + GAP, after.pos[1] + below]
  return node
}

const connect = ([from, output], to, input) => from.connect(output, to, slotOf(to.inputs, input))

function compress(node) {
  const graph = node.graph
  const picture = pictureSource(node)
  let encoder = node
  if (node.type !== "VAEEncode") {
    encoder = add(graph, "VAEEncode", node)
    connect(picture, encoder, "IMAGE")
    const vae = findVae(graph)
    if (vae) connect(vae, encoder, "VAE")
    else {
      const loader = add(graph, "CheckpointLoaderSimple", node, encoder.size[1] + GAP)
      connect([loader, slotOf(loader.outputs, "VAE")], encoder, "VAE")
    }
  }
  const quantize = add(graph, "SDCLatentQuantize", encoder)
  const save = add(graph, "SDCSave", quantize)
  connect([encoder, 0], quantize, "LATENT")
  connect([quantize, 0], save, "SDC")
  // Its true size, and the PNG that the file is compared with.
  for (const target of picture ? [quantize, save] : []) connect(picture, target, "IMAGE")
  tell("Set up for Stable Diffusion 1.x. For another model choose its latent_format in SD Latent Quantize.")
  app.canvas.selectItems?.([quantize, save])
  app.canvas.setDirty(true, true)
}

app.registerExtension({
  name: "sdc.menu",
  getNodeMenuItems(node) {
    if (node.type !== "VAEEncode" && !pictureSource(node)) return []
    return [null, { content: "Compress with SDC", callback: () => compress(node) }]
  },
})
