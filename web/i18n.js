// Texts of the page in the user's language. English is in the scripts; the translations are under "sdc" in
// locales/LANGUAGE/main.json, with the English text as key.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

// Before any button is made. Where this fails, the page stays English.
const languages = await api
  .fetchApi("/i18n")
  .then((response) => response.json())
  .catch(() => ({}))

// `{name}` in a text is filled in from `values`.
export function t(text, values = {}) {
  const language = app.extensionManager?.setting?.get("Comfy.Locale")
  const translated = languages[language]?.sdc?.[text] ?? text
  return translated.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all)
}
