// Browse Templates lists a pack's workflows in no particular order: sort ours, the introduction first.
import { api } from "../../scripts/api.js"

const ORDER = [
  "sdc_demo_tiny",
  "sdc_compress",
  "sdc_decompress",
  "sdc_regenerate",
  "sdc_keep_a_part_finer",
  "sdc_generated_art",
  "sdc_compress_a_folder",
  "sdc_folder_to_folder",
  "sdc_full_pipeline",
  "sdc_sdxl",
  "sdc_sd3",
  "sdc_flux",
  "sdc_z_image",
  "sdc_qwen_image",
  "sdc_change_the_prompt",
  "sdc_experiment",
  "sdc_table1",
  "sdc_regenerate_stock_nodes",
]

const position = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)

const getWorkflowTemplates = api.getWorkflowTemplates
api.getWorkflowTemplates = async function () {
  const templates = await getWorkflowTemplates.call(this)
  const pack = Object.keys(templates ?? {}).find((name) => templates[name].includes?.(ORDER[0]))
  if (pack) templates[pack].sort((one, other) => position(one) - position(other))
  return templates
}
