// Extensions > SDC in ComfyUI's menu: put the small models that come with the pack where the loaders find them.
import { app } from "../../scripts/app.js"
import { installTinyModels, tell, warn } from "./files.js"

app.registerExtension({
  name: "sdc.tiny",
  commands: [
    {
      id: "sdc.installTinyModels",
      label: "Install the tiny models of SDC (400 MB)",
      icon: "pi pi-download",
      function: async () => {
        try {
          const { written } = await installTinyModels()
          await app.refreshComboInNodes?.()
          tell(written.length ? `Installed: ${written.join(", ")}` : "The tiny models are there already.")
        } catch (error) {
          warn(`The tiny models could not be installed: ${error.message}`)
        }
      },
    },
  ],
  menuCommands: [{ path: ["Extensions", "SDC"], commands: ["sdc.installTinyModels"] }],
})
