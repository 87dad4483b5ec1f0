"""File Size: a slider in kilobytes, for max_bytes of SD Latent Quantize."""

from comfy_api.v0_0_2 import io

from . import CATEGORY


class SDCFileSize(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCFileSize",
            display_name="File Size",
            category=CATEGORY,
            description="A slider for the size of the file. Connect it to max_bytes of SD Latent Quantize.",
            search_aliases=["sdc", "kilobytes", "kb", "file size", "max bytes", "slider"],
            inputs=[
                io.Float.Input(
                    "kilobytes",
                    default=3.0,
                    min=0.5,
                    max=20.0,
                    step=0.1,
                    round=0.001,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="The most that a file may take. For 512x512, 1.3 looks soft, 3 is a good start, and 6.5 is "
                    "close to the best the VAE can do; 1024x1024 takes four times as much.",
                )
            ],
            outputs=[io.Int.Output("bytes", display_name="bytes", tooltip="For max_bytes of SD Latent Quantize.")],
        )

    @classmethod
    def execute(cls, kilobytes) -> io.NodeOutput:
        return io.NodeOutput(round(1000 * kilobytes))
