// Adding nodes to a graph: beside what is there, wired by type, with the models that are there.

export const GAP = 60
const MIN_WIDTH = 280 // before Vue has drawn a node, it is wider than it says
const TITLE_HEIGHT = 30
const MARGIN = 10

export const slotOf = (slots, type) => slots?.findIndex((slot) => slot.type === type) ?? -1

// What is wired to an input, [node, output]; undefined for an input that is free or fed from outside the subgraph.
export function sourceOf(node, input) {
  const from = input >= 0 && node.getInputNode(input)
  return from ? [from, node.getInputLink(input).origin_slot] : undefined
}

const boxOf = ({ pos: [left, top], size: [width, height], flags }) => ({
  left,
  top: top - TITLE_HEIGHT,
  right: left + Math.max(width, MIN_WIDTH),
  bottom: top + (flags?.collapsed ? 0 : height),
})

const meet = (one, other) =>
  one.left < other.right + MARGIN && other.left < one.right + MARGIN &&
  one.top < other.bottom + MARGIN && other.top < one.bottom + MARGIN

// Downwards from where it was put, to where it covers no other node.
function moveClear(graph, node) {
  const others = graph.nodes.filter((other) => other !== node)
  for (let _ = 0; _ < others.length; _++) {
    const lowest = Math.max(...others.filter((o) => meet(boxOf(node), boxOf(o))).map((o) => boxOf(o).bottom), -Infinity)
    if (lowest === -Infinity) return
    node.pos = [node.pos[0], lowest + MARGIN + TITLE_HEIGHT + GAP / 2]
  }
}

export const rightOf = (node) => [node.pos[0] + Math.max(node.size[0], MIN_WIDTH) + GAP, node.pos[1]]
export const below = (node) => [node.pos[0], node.pos[1] + node.size[1] + 2 * GAP]

// What nodes take after a run: what comes next must not lie under their results.
const SIZES = {
  CLIPTextEncode: [280, 110],
  PreviewImage: [280, 300],
  SDCDecode: [280, 110],
  SDCLatentQuantize: [280, 440],
  SDCSave: [280, 430],
}

export function add(graph, type, pos) {
  const node = LiteGraph.createNode(type)
  node.pos = pos // before it is in the graph: Vue as ComfyUI 0.16.3 has it does not notice it afterwards
  if (SIZES[type]) node.size = SIZES[type]
  moveClear(graph, node)
  graph.add(node)
  return node
}

// To the first input that takes this type.
export function connect([from, output], to, type) {
  const input = to.inputs.findIndex((slot) => String(slot.type).split(",").includes(type))
  from.connect(output, to, input)
}

// By the names of an output and an input, such as that of a widget.
export function connectByName(from, output, to, input) {
  from.connect(from.outputs.findIndex(({ name }) => name === output), to, to.findInputSlot(input))
}

export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name)

// A VAE that is in the graph already: the loader of a VAE, else that of a checkpoint.
export function vaeIn(graph) {
  const nodes = graph.nodes.filter((node) => slotOf(node.outputs, "VAE") >= 0)
  const vae = nodes.find((node) => node.type === "VAELoader") ?? nodes[0]
  return vae && [vae, slotOf(vae.outputs, "VAE")]
}

// The names in a combo of a node that is not in the graph yet, such as the checkpoints that there are.
export function listOf(type, name) {
  const values = widgetOf(LiteGraph.createNode(type), name)?.options?.values
  return Array.isArray(values) ? values : []
}
