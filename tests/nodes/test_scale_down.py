"""Scale Image Down: as core scales, but never up."""

import pytest
import torch
from comfy_extras.nodes_post_processing import ImageScaleToTotalPixels
from sdc_pack.nodes.scale_down import SDCScaleDown


@pytest.mark.parametrize(("height", "width"), [(300, 500), (331, 977)])
def test_large_images_become_what_core_makes_of_them(height, width):
    image = torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(1))
    output = SDCScaleDown.execute(image, 0.1)
    expected = ImageScaleToTotalPixels.execute(image, "lanczos", 0.1, 8).result[0]
    assert torch.equal(output.result[0], expected) and expected.shape[1] < height
    assert output.ui["text"] == [f"{width}x{height} scaled to {expected.shape[2]}x{expected.shape[1]}"]


@pytest.mark.parametrize(("height", "width"), [(300, 451), (512, 512), (768, 1024)])
def test_smaller_images_stay_as_they_are(height, width):
    image = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(1))
    for megapixels in (height * width / 1024**2, 1.0):
        output = SDCScaleDown.execute(image, megapixels)
        assert output.result[0] is image and output.ui["text"] == [f"{width}x{height}, not scaled"]
