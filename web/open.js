// "Decode with SDC" and "Rebuild the sampler" in the menu of Load SDC.
import { app } from "../../scripts/app.js"
import { add, below, connect, connectByName, listOf, rightOf, slotOf, vaeIn, widgetOf } from "./graph.js"
import { t } from "./i18n.js"

const baseName = (path) => String(path).split(/[\\/]/).at(-1)

function finish(nodes) {
  app.canvas.selectItems?.(nodes)
  app.canvas.setDirty(true, true)
}

// By the VAE of the graph; without one, Decode SDC takes the small VAE of the pack.
function decode(loader) {
  const graph = loader.graph
  const decoder = add(graph, "SDCDecode", rightOf(loader))
  const preview = add(graph, "PreviewImage", rightOf(decoder))
  connect([loader, slotOf(loader.outputs, "SDC")], decoder, "SDC")
  connect([decoder, 0], preview, "IMAGE")
  const vae = vaeIn(graph)
  if (vae) connect(vae, decoder, "VAE")
  finish([decoder, preview])
}

// The sampler that made the image, with the prompts and settings that the file holds.
function rebuild(loader) {
  const graph = loader.graph
  const checkpoint = add(graph, "CheckpointLoaderSimple", rightOf(loader))
  const wanted = listOf("CheckpointLoaderSimple", "ckpt_name").find((name) => baseName(name) === loader.sdcModel)
  if (wanted) widgetOf(checkpoint, "ckpt_name").value = wanted
  const [positive, negative] = [t("Its prompt"), t("Its negative prompt")].map((title) => {
    const node = add(graph, "CLIPTextEncode", below(checkpoint))
    node.title = title
    connect([checkpoint, 1], node, "CLIP")
    return node
  })
  const latent = add(graph, "EmptyLatentImage", below(negative))
  const sampler = add(graph, "KSampler", rightOf(checkpoint))
  const decoder = add(graph, "VAEDecode", below(sampler))
  const preview = add(graph, "PreviewImage", rightOf(sampler))
  connectByName(loader, "prompt", positive, "text")
  connectByName(loader, "negative", negative, "text")
  for (const side of ["width", "height"]) connectByName(loader, side, latent, side)
  connect([checkpoint, 0], sampler, "MODEL")
  positive.connect(0, sampler, sampler.findInputSlot("positive"))
  negative.connect(0, sampler, sampler.findInputSlot("negative"))
  connect([latent, 0], sampler, "LATENT")
  // Not denoise: from an empty latent, anything below 1 is no image.
  for (const name of ["seed", "steps", "cfg", "sampler_name", "scheduler"]) connectByName(loader, name, sampler, name)
  connect([sampler, 0], decoder, "LATENT")
  connect([checkpoint, 2], decoder, "VAE")
  connect([decoder, 0], preview, "IMAGE")
  finish([checkpoint, positive, negative, latent, sampler, decoder, preview])
}

app.registerExtension({
  name: "sdc.open",
  getNodeMenuItems(node) {
    if (node.comfyClass !== "SDCLoad") return []
    const items = [{ content: t("Decode with SDC"), callback: () => decode(node) }]
    if (node.sdcModel !== undefined) items.push({ content: t("Rebuild the sampler"), callback: () => rebuild(node) })
    return [null, ...items]
  },
})
