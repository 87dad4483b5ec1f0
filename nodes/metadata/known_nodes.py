"""What is known of nodes of ComfyUI and of other packs, to read a graph that has not run yet.

A node that is not in here may make anything of its inputs, so nothing is read through it.
"""

# {class: {output: input}}: outputs that give an input unchanged. Texts, numbers and names of samplers.
PASSED: dict[str, dict[int, str]] = {
    "PrimitiveString": {0: "value"}, "PrimitiveStringMultiline": {0: "value"}, "PrimitiveInt": {0: "value"},
    "PrimitiveFloat": {0: "value"}, "PrimitiveBoolean": {0: "value"}, "SeedNode": {0: "seed"},
    "CustomCombo": {0: "choice"}, "SaveText": {0: "text"}, "PreviewAny": {0: "source"},
    # Other packs
    "ImpactWildcardProcessor": {0: "populated_text"}, "ImpactWildcardEncode": {3: "populated_text"},
    "String Literal (Image Saver)": {0: "string"}, "Int Literal (Image Saver)": {0: "int"},
    "Float Literal (Image Saver)": {0: "float"}, "Cfg Literal (Image Saver)": {0: "float"},
    "ShowText|pysssss": {0: "text"}, "Seed (rgthree)": {0: "seed"}, "easy seed": {0: "seed"}, "CR Seed": {0: "seed"},
    "easy int": {0: "value"}, "easy float": {0: "value"}, "easy string": {0: "value"},
    "INTConstant": {0: "value"}, "FloatConstant": {0: "value"}, "StringConstant": {0: "string"},
}  # fmt: skip
# Outputs that are text whatever they are given: a number that comes from there is not one any more.
TEXT_ONLY = ("PreviewAny", "SaveText", "ShowText|pysssss")
SWITCHES = ("ComfySwitchNode", "ComfySoftSwitchNode")
# {class: {output: inputs}}: what gives a CONDITIONING of these texts.
ENCODERS: dict[str, dict[int, tuple[str, ...]]] = {
    "CLIPTextEncode": {0: ("text",)}, "CLIPTextEncodeSDXL": {0: ("text_g", "text_l")},
    "CLIPTextEncodeSDXLRefiner": {0: ("text",)}, "CLIPTextEncodeSD3": {0: ("t5xxl", "clip_l", "clip_g")},
    "CLIPTextEncodeFlux": {0: ("t5xxl", "clip_l")},
    "CLIPTextEncodeHiDream": {0: ("t5xxl", "llama", "clip_l", "clip_g")},
    "CLIPTextEncodeHunyuanDiT": {0: ("mt5xl", "bert")}, "CLIPTextEncodeKandinsky5": {0: ("qwen25_7b", "clip_l")},
    "CLIPTextEncodeLumina2": {0: ("user_prompt",)}, "CLIPTextEncodePixArtAlpha": {0: ("text",)},
    "PhotoMakerEncode": {0: ("text",)}, "TextEncodeHunyuanVideo_ImageToVideo": {0: ("prompt",)},
    "TextEncodeJoyImageEdit": {0: ("prompt",)}, "TextEncodeQwenImageEdit": {0: ("prompt",)},
    "TextEncodeQwenImageEditPlus": {0: ("prompt",)}, "TextEncodeZImageOmni": {0: ("prompt",)},
    "TextEncodeBooguEdit": {0: ("prompt",), 1: ("negative_prompt",)},
    "TextEncodeMageFlowEdit": {0: ("prompt",), 1: ("negative_prompt",)},
    # Other packs
    "ImpactWildcardEncode": {2: ("populated_text",)}, "BNK_CLIPTextEncodeAdvanced": {0: ("text",)},
}  # fmt: skip
# {class: inputs}: what makes one CONDITIONING of several.
JOINED = {
    "ConditioningCombine": ("conditioning_1", "conditioning_2"),
    "ConditioningConcat": ("conditioning_to", "conditioning_from"),
    "ConditioningAverage": ("conditioning_to", "conditioning_from"),
    "ConditioningSetDefaultCombine": ("cond", "cond_DEFAULT"),
    "ConditioningSetProperties": ("cond_NEW",),
    "ConditioningSetPropertiesAndCombine": ("cond", "cond_NEW"),
}
# Nodes whose images may come from a sampler or not, with the inputs that end up in the image; of a node that is not
# here, all its images do.
IMAGES = {
    "SDCSave": ("sdc",), "SDCLatentQuantize": ("latent",), "SDCDecode": ("sdc",), "ColorMatch": ("image_target",),
    "InpaintStitch": ("inpainted_image",), "InpaintStitchImproved": ("inpainted_image",),
}  # fmt: skip
