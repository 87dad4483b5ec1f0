// .sdc files between the browser and the server: what is in them, upload and download; and messages to the user.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"
import { t } from "./i18n.js"

export const isSdc = (file) => /\.sdc$/i.test(file?.name ?? "")

export function warn(message) {
  app.extensionManager.toast.add({ severity: "warn", summary: "SDC", detail: message, life: 10000 })
}

export function toast(message) {
  app.extensionManager.toast.add({ severity: "success", summary: "SDC", detail: message, life: 10000 })
}

async function request(route, options) {
  const response = await api.fetchApi(route, options)
  const answer = await response.json().catch(() => ({})) // no JSON: the server failed, or has no such route
  if (answer.error || !response.ok) throw new Error(answer.error ?? `${response.status} ${response.statusText}`)
  return answer
}

// What is in a file that lies on the server, under the name that Load SDC's list has for it, or its full path.
export const info = (file) => request(`/sdc/info?${new URLSearchParams({ file })}`)

const inspected = new WeakMap()

// The same for a file in the browser, with its workflow; nothing is kept on the server. A file is sent only once,
// however often it is inspected.
export function inspect(file) {
  if (!inspected.has(file)) inspected.set(file, request("/sdc/inspect", { method: "POST", body: file }))
  return inspected.get(file)
}

export const installTinyModels = () => request("/sdc/tiny_models", { method: "POST" })

// The address of a small image. `version`, from `info`, changes with the content, so the browser may keep the image.
export const thumbnail = ({ file, version }) => api.apiURL(`/sdc/thumbnail?${new URLSearchParams({ file, version })}`)

// The address of a file in the server's folders: { filename, subfolder, type }.
export const view = ({ filename, subfolder = "", type }) =>
  api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`)

// Put a file into the input folder and return its name there.
export async function upload(file) {
  await inspect(file) // a damaged file, or another program's, is not uploaded
  const body = new FormData()
  body.append("image", file) // core's only upload route, for files of every kind
  const response = await api.fetchApi("/upload/image", { method: "POST", body })
  if (!response.ok) throw new Error(t("It could not be uploaded ({reason}).", { reason: response.statusText }))
  const { name, subfolder } = await response.json()
  return subfolder ? `${subfolder}/${name}` : name
}

const OFFSET = 420 // on the canvas: the nodes made from the other files must not cover ours

// Give the files of a drop that are no .sdc files to the front end, as if they had been dropped alone, farther left.
export function forwardFiles(drop, files) {
  const others = files.filter((file) => !isSdc(file))
  if (!others.length) return
  const dataTransfer = new DataTransfer()
  for (const file of others) dataTransfer.items.add(file)
  const position = { clientX: drop.clientX - OFFSET * app.canvas.ds.scale, clientY: drop.clientY }
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, ...position, bubbles: true, cancelable: true }))
}

// Save a file of the server's folders on the user's disk.
export function download(file) {
  const link = document.createElement("a")
  link.href = view(file)
  link.download = file.filename
  link.click()
}

// Show a file of Load SDC's list in a page of its own.
export const openViewer = (file) =>
  window.open(api.apiURL(`/sdc/viewer?${new URLSearchParams({ file })}`), "_blank", "noopener")

// From a name in Load SDC's list, "folder/name.sdc [output]", to { filename, subfolder, type }. In a workflow from
// somebody else anything may stand in the place of a name.
export function splitName(name) {
  const [, path, type = "input"] = String(name).match(/^(.*?)(?: \[(input|output|temp)\])?$/s)
  const cut = path.lastIndexOf("/")
  return { filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(cut, 0)), type }
}

export function joinName({ filename, subfolder, type }) {
  return `${subfolder ? `${subfolder}/` : ""}${filename}${type === "input" ? "" : ` [${type}]`}`
}
