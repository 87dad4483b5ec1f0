// What the page says, in the reader's language: English is written in the scripts, the other languages are in the part
// "sdc" of locales/LANGUAGE/main.json, found by the English text.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

// Before any button is made. Without it, everything is said in English.
const languages = await api
  .fetchApi("/i18n")
  .then((response) => response.json())
  .catch(() => ({}))

// `{name}` in a text is filled in from `values`.
export function t(text, values = {}) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale")
  const said = languages[language]?.sdc?.[text] ?? text
  return said.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all)
}
