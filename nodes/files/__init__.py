"""The `.sdc` files in the folders of ComfyUI: safe names, lists, and files of a folder."""
