"""The `.sdc` files of ComfyUI's folders: names that are safe, what is listed, previews, and the page's questions."""
