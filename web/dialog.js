// A dialog with a choice of answers. The front end's own has a single answer and cannot tell Cancel from Esc.
import { t } from "./i18n.js"

const FRAME =
  "color: var(--input-text); background: var(--comfy-menu-bg); border: 1px solid var(--border-color); " +
  "border-radius: 8px; padding: 16px; max-width: 480px; max-height: 80vh; overflow-y: auto; font: 14px/1.4 sans-serif"
const BUTTON =
  "color: inherit; background: var(--comfy-input-bg); border: 1px solid var(--border-color); " +
  "border-radius: 6px; padding: 6px 12px; font: inherit; cursor: pointer"
const CLOSE_BUTTON = "float: right; color: inherit; background: none; border: none; font: inherit; cursor: pointer"

function makeButton(label, style, choose) {
  const button = document.createElement("button")
  button.textContent = label
  button.style.cssText = style
  button.onclick = choose
  return button
}

// `answers` are [value, label]. Resolves with the chosen value, or undefined after Esc or the close button.
export function chooseDialog({ title, message, answers }) {
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog")
    const [heading, text, row] = ["strong", "p", "div"].map((tag) => document.createElement(tag))
    dialog.style.cssText = FRAME
    dialog.setAttribute("aria-label", title)
    heading.textContent = title
    text.textContent = message
    text.style.whiteSpace = "pre-wrap"
    row.style.cssText = "display: flex; flex-wrap: wrap; gap: 8px; justify-content: flex-end"
    const close = (value) => {
      dialog.remove()
      resolve(value)
    }
    const closeButton = makeButton("✕", CLOSE_BUTTON, () => close(undefined))
    closeButton.setAttribute("aria-label", t("Close"))
    row.append(...answers.map(([value, label]) => makeButton(label, BUTTON, () => close(value))))
    dialog.append(closeButton, heading, text, row)
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault()
      close(undefined)
    })
    // Keys are for the dialog, not for the canvas behind it, where Delete deletes nodes.
    dialog.addEventListener("keydown", (event) => event.stopPropagation())
    document.body.append(dialog)
    dialog.showModal()
    row.firstChild.focus()
  })
}
