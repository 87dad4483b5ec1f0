"""The page speaks its reader's language."""

import json

import pytest

from .comfy_page import ComfyPage
from .conftest import SCREENSHOTS, WORKFLOW


@pytest.fixture(params=["ja", "zh"])
def foreign_page(session_page, chromium, request):
    """A page of its own: one that changes its language opens its workflow anew at some time after that."""
    client = session_page.server.client
    client.request("/settings", json.dumps({"Comfy.Locale": request.param}).encode())
    context = chromium.new_context(viewport={"width": 1600, "height": 900})
    page = ComfyPage(context.new_page(), session_page.server, SCREENSHOTS)
    page.open()
    page.use_renderer("canvas")
    page.clear()
    page.language = request.param
    yield page
    page.shoot(request.node.name)
    context.close()
    client.request("/settings", json.dumps({"Comfy.Locale": "en"}).encode())


WORDS = {
    "ja": (".sdc を選んでアップロード", "SDC で圧縮", "ワークフローを開きますか？", "画像を追加"),
    "zh": ("选择 .sdc 文件上传", "用 SDC 压缩", "打开工作流？", "添加图片"),
}


def test_buttons_menus_and_questions(foreign_page, sdc_file):
    page = foreign_page
    button, item, title, answer = WORDS[page.language]
    node = page.add("SDCLoad")
    assert page.run("id => app.graph.getNodeById(id).widgets.find(w => w.name === 'upload').label", node) == button
    image = page.add("LoadImage", (700, 200))
    page.menu(image, item)
    page.wait("() => app.graph.nodes.length === 6")
    page.drop([sdc_file("foreign.sdc", workflow=WORKFLOW)], (200, 500))  # beside the nodes
    page.page.get_by_text(title).wait_for()
    page.answer(answer)
    page.wait("() => app.graph.nodes.filter(n => n.type === 'SDCLoad').length === 2")
